//! A look as text.

use std::fmt::Write;

use super::sample::Sample;
use crate::server::show;

pub(super) fn of(sample: &Sample) -> String {
    let mut text = head(sample).join("\n");
    // Writing to a string does not fail.
    let _ = write!(text, "\n\nsessions with the most locks\n{}", show::sessions(&sample.sessions));
    let _ = write!(text, "\n\n{}", waiting_title(sample));
    if !sample.waiting.is_empty() {
        let _ = write!(text, "\n{}", show::locks(&sample.waiting));
    }
    text
}

/// What stands above the tables.
pub(super) fn head(sample: &Sample) -> [String; 3] {
    let server = &sample.server;
    let rate = |name: &str| sample.rates.get(name).copied().unwrap_or_default();
    [
        format!(
            "{} at {}: {} for {}, term {}, lease {}",
            server.name,
            server.addresses.join(", "),
            server.phase,
            show::age(server.serving_ms),
            server.term,
            show::age(server.lease_ms)
        ),
        format!(
            "{} sessions, {} locks, {} connections ({} not greeted), {} changes not durable yet, {} tombstones",
            server.sessions,
            server.locks,
            server.connections,
            server.strangers,
            server.changes_pending,
            server.tombstones
        ),
        format!(
            "a second: {:.0} grants, {:.0} revocations, {:.0} messages heard, {:.0} reads, {:.0} writes",
            rate("grants_told"),
            rate("revocations_told"),
            rate("messages_heard"),
            rate("reads"),
            rate("writes")
        ),
    ]
}

pub(super) fn waiting_title(sample: &Sample) -> String {
    let more = if sample.waiting_more { " (of the first 65536 locks)" } else { "" };
    match sample.waiting.len() {
        0 => format!("nobody waits{more}"),
        _ => format!("locks that somebody waits for, longest wait first{more}"),
    }
}
