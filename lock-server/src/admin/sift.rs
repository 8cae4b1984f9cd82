//! From the machine's views to rows, and from text to what is looked for.

use std::time::Duration;

use tidelock_format::{ClientId, Key};

use super::report::{HolderRow, LockRow, SessionRow, WaiterRow};
use crate::{LockEntry, Phase, SessionView, Standing};

pub(super) fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Recovering => "recovering",
        Phase::Serving => "serving",
        Phase::Stopping => "stopping",
        Phase::Stopped => "stopped",
    }
}

fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Unheard => "unheard",
        Standing::Doubted => "doubted",
        Standing::Telling => "telling",
        Standing::Told => "told",
        Standing::Live => "live",
        Standing::Leaving => "leaving",
        Standing::Expelled => "expelled",
        Standing::Superseded => "superseded",
        Standing::TakenBack => "taken back",
    }
}

pub(super) fn session_row(view: &SessionView, now: Duration) -> SessionRow {
    SessionRow {
        client: view.party.client.to_string(),
        incarnation: view.party.incarnation.0,
        standing: standing(view.standing).into(),
        label: view.label.clone(),
        is_connected: view.connection.is_some(),
        locks: view.locks,
        waiting: view.waiting,
        age_ms: age(view.since, now),
        silent_ms: view.heard.map(|heard| age(heard, now)),
    }
}

pub(super) fn lock_row(entry: &LockEntry, now: Duration) -> LockRow {
    let holders = entry.holders.iter().map(|holder| HolderRow {
        client: holder.party.client.to_string(),
        incarnation: holder.party.incarnation.0,
        mode: holder.mode.to_string(),
        token: holder.token.to_string(),
        descends_to: holder.descends_to.map(|mode| mode.to_string()),
        age_ms: age(holder.since, now),
    });
    let waiters = entry.waiters.iter().map(|waiter| WaiterRow {
        client: waiter.party.client.to_string(),
        incarnation: waiter.party.incarnation.0,
        mode: waiter.mode.to_string(),
        age_ms: age(waiter.since, now),
        behind: waiter.behind.iter().map(|party| party.client.to_string()).collect(),
    });
    LockRow {
        start: entry.range.start().to_string(),
        end: entry.range.end().to_string(),
        holders: holders.collect(),
        waiters: waiters.collect(),
    }
}

pub(super) fn age(since: Duration, now: Duration) -> u64 {
    now.saturating_sub(since).as_millis() as u64
}

/// The key that these hexadecimal digits are, as [`Key`] is shown.
pub fn parse_key(text: &str) -> Option<Key> {
    let digits = text.as_bytes();
    if digits.is_empty() || digits.len() > 2 * Key::BYTES {
        return None;
    }
    let mut key = Key::MIN;
    for (place, digit) in digits.iter().rev().enumerate() {
        let value = char::from(*digit).to_digit(16)? as u8;
        key.0[Key::BYTES - 1 - place / 2] |= value << (place % 2 * 4);
    }
    Some(key)
}

/// Clients whose names begin with some digits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prefix {
    bits: u128,
    digits: u32,
}

impl Prefix {
    /// `None` if these are no digits of a client's name.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let is_name = (1..=32).contains(&text.len()) && text.bytes().all(|digit| digit.is_ascii_hexdigit());
        let bits = u128::from_str_radix(text, 16).ok().filter(|_| is_name)?;
        Some(Self { bits, digits: text.len() as u32 })
    }

    pub(super) fn is_of(self, client: ClientId) -> bool {
        client.bits() >> (128 - 4 * self.digits) == self.bits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_is_shown() {
        for key in [Key::MIN, Key::MAX, Key::from_u64(0xa0b), Key::from_u64(u64::MAX)] {
            assert_eq!(parse_key(&key.to_string()), Some(key));
        }
        for text in ["", "g", "0x1", "-1", &"f".repeat(65)] {
            assert_eq!(parse_key(text), None, "{text}");
        }
    }

    #[test]
    fn a_client_is_found_by_the_beginning_of_its_name() {
        let client = ClientId::new(0xa31f << 112 | 9).unwrap();
        for text in ["a", "A31F", "a31f00", &client.to_string()] {
            assert!(Prefix::parse(text).unwrap().is_of(client), "{text}");
        }
        for text in ["b", "a31e", "31f", "a31f01"] {
            assert!(!Prefix::parse(text).unwrap().is_of(client), "{text}");
        }
        for text in ["", "x", "+1", &"0".repeat(33)] {
            assert!(Prefix::parse(text).is_none(), "{text}");
        }
    }
}
