//! Rows for people.

use comfy_table::{Cell, CellAlignment, Table, presets};
use tidelock_lock_server::admin::{HolderRow, LockRow, SessionRow, WaiterRow};

/// So many digits of a client's name tell it from others.
const CLIENT_DIGITS: usize = 8;

pub(super) fn table(head: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(head.iter().map(|title| Cell::new(title.to_uppercase())));
    table
}

fn number(value: impl ToString) -> Cell {
    Cell::new(value).set_alignment(CellAlignment::Right)
}

/// A time in its largest unit.
pub(super) fn age(ms: u64) -> String {
    match ms {
        0..1000 => format!("{ms} ms"),
        1000..60_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        60_000..3_600_000 => format!("{} min", ms / 60_000),
        3_600_000..86_400_000 => format!("{} h", ms / 3_600_000),
        _ => format!("{} d", ms / 86_400_000),
    }
}

pub(super) fn client(name: &str) -> &str {
    name.get(..CLIENT_DIGITS).unwrap_or(name)
}

pub(super) fn sessions(rows: &[SessionRow]) -> Table {
    let mut table = table(&[
        "client",
        "session",
        "standing",
        "locks",
        "unread",
        "silent",
        "known for",
        "connected",
        "from",
    ]);
    for row in rows {
        table.add_row([
            Cell::new(client(&row.client)),
            number(row.incarnation),
            Cell::new(&row.standing),
            number(row.locks),
            number(row.waiting),
            number(row.silent_ms.map_or("-".into(), age)),
            number(age(row.age_ms)),
            Cell::new(if row.is_connected { "yes" } else { "no" }),
            Cell::new(&row.label),
        ]);
    }
    table
}

/// A line for each holder and each waiter.
pub(super) fn locks(rows: &[LockRow]) -> Table {
    let mut table = table(&["first key", "last key", "mode", "client", "session", "for", "what"]);
    for row in rows {
        let mut place = [row.start.as_str(), row.end.as_str()];
        for holder in &row.holders {
            table.add_row(line(
                place,
                (&holder.mode, &holder.client, holder.incarnation),
                holder.age_ms,
                holds(holder),
            ));
            place = ["", ""];
        }
        for waiter in &row.waiters {
            table.add_row(line(
                place,
                (&waiter.mode, &waiter.client, waiter.incarnation),
                waiter.age_ms,
                waits(waiter),
            ));
            place = ["", ""];
        }
    }
    table
}

fn line(
    [start, end]: [&str; 2],
    (mode, name, incarnation): (&str, &str, u64),
    age_ms: u64,
    what: String,
) -> Vec<Cell> {
    vec![
        Cell::new(start),
        Cell::new(end),
        Cell::new(mode),
        Cell::new(client(name)),
        number(incarnation),
        number(age(age_ms)),
        Cell::new(what),
    ]
}

fn holds(holder: &HolderRow) -> String {
    match &holder.descends_to {
        Some(mode) => format!("holds, was told to come down to {mode}"),
        None => "holds".into(),
    }
}

pub(super) fn waits(waiter: &WaiterRow) -> String {
    let mut behind: Vec<&str> = waiter.behind.iter().map(|name| client(name)).collect();
    behind.dedup();
    if behind.is_empty() { "waits".into() } else { format!("waits for {}", behind.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_told_in_its_largest_unit() {
        let told = [0, 999, 1000, 59_990, 60_000, 3_600_000, 90_000_000].map(age);
        assert_eq!(told, ["0 ms", "999 ms", "1.0 s", "59.9 s", "1 min", "1 h", "1 d"]);
    }
}
