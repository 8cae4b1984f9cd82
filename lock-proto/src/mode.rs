//! Modes, and what they mean to each other, as data.
//!
//! ```text
//!                       another client wants             the same client wants
//!      held         Null  Read  Write WriteOnly       Read  Write WriteOnly
//!      Read          +     +      -      -              +     +      -
//!      Write         +     -      -      -              -     -      -
//!      WriteOnly     +     -      -      +              -     -      +
//! ```
//!
//! A client asks for more than it holds, or for something else; what it holds already it takes without asking
//! ([`Mode::satisfies`]). Growing from reading to writing keeps what it has cached: that is the one pair where a client's
//! own grant may stay while it gets another. Everything else passes through [`Mode::Null`], and a cache with it.

use std::fmt;

/// What a client may do with the keys that a lock covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Mode {
    /// Nothing. Nobody holds this; it is where every lock begins and ends.
    #[default]
    Null = 0,
    /// Read, and cache what was read. Any number of clients at a time.
    Read = 1,
    /// Read and write. One client alone.
    Write = 2,
    /// Write without reading, for changes that some other exclusive lock already puts in order. Any number of clients at a
    /// time, and no reader.
    WriteOnly = 3,
}

/// Whether the holder and who wants the lock are one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// They are.
    Same,
    /// They are two.
    Another,
}

impl Mode {
    /// Every mode.
    pub const ALL: [Mode; 4] = [Mode::Null, Mode::Read, Mode::Write, Mode::WriteOnly];

    /// The mode with this number, if there is one.
    pub const fn from_number(number: u8) -> Option<Self> {
        if (number as usize) < Self::ALL.len() { Some(Self::ALL[number as usize]) } else { None }
    }

    /// Its number on the wire.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Whether who holds this may read.
    pub const fn may_read(self) -> bool {
        matches!(self, Mode::Read | Mode::Write)
    }

    /// Whether who holds this may write.
    pub const fn may_write(self) -> bool {
        matches!(self, Mode::Write | Mode::WriteOnly)
    }

    /// Whether who holds this has what `wanted` allows. Writing includes reading; writing only includes nothing else, and is
    /// included in nothing: who writes alone has read nothing that it could rely on.
    pub const fn satisfies(self, wanted: Mode) -> bool {
        self as u8 == wanted as u8 || matches!((self, wanted), (Mode::Write, Mode::Read))
    }

    /// Whether this can stay as it is while `holder` is granted `wanted`.
    pub const fn is_compatible(self, holder: Holder, wanted: Mode) -> bool {
        let table = match holder {
            Holder::Same => &SAME,
            Holder::Another => &ANOTHER,
        };
        table[self as usize][wanted as usize]
    }

    /// What a holder of this has to come down to so that another client can have `wanted`, with which it is not compatible.
    /// A writer that makes way for a reader may go on reading, and keeps its cache.
    pub const fn made_way_for(self, wanted: Mode) -> Mode {
        match (self, wanted) {
            (Mode::Write, Mode::Read) => Mode::Read,
            _ => Mode::Null,
        }
    }
}

const NO: bool = false;
const YES: bool = true;

/// What another client may be granted beside a grant: by the mode held, then by the mode wanted, in the order of their
/// numbers.
const ANOTHER: [[bool; 4]; 4] =
    [[YES, YES, YES, YES], [YES, YES, NO, NO], [YES, NO, NO, NO], [YES, NO, NO, YES]];

/// The same for the client that holds the grant. Nobody is granted `Null`: who wants less says so, and does not ask.
const SAME: [[bool; 4]; 4] = [[NO, NO, NO, NO], [NO, YES, YES, NO], [NO, NO, NO, NO], [NO, NO, NO, YES]];

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Mode::Null => "null",
            Mode::Read => "read",
            Mode::Write => "write",
            Mode::WriteOnly => "write-only",
        })
    }
}

/// From which mode to which: every message about a grant carries both, and whoever gets it never has to guess what the
/// other side took for granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Change {
    /// The mode before.
    pub from: Mode,
    /// The mode after.
    pub to: Mode,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.from, self.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs() -> impl Iterator<Item = (Mode, Mode)> {
        Mode::ALL.into_iter().flat_map(|held| Mode::ALL.map(|wanted| (held, wanted)))
    }

    /// A-18: a client that wants nothing disturbs nobody, so giving a lock back invalidates no other client.
    #[test]
    fn two_clients_share_reading_or_blind_writing_and_nothing_else() {
        let shared = |mode| matches!(mode, Mode::Read | Mode::WriteOnly);
        for (held, wanted) in pairs() {
            let expected = held == Mode::Null || wanted == Mode::Null || (held == wanted && shared(held));
            assert_eq!(held.is_compatible(Holder::Another, wanted), expected, "{held}, {wanted}");
        }
    }

    #[test]
    fn a_client_keeps_its_own_grant_only_when_it_asks_for_the_same_or_begins_to_write_what_it_reads() {
        for (held, wanted) in pairs() {
            let expected = matches!(
                (held, wanted),
                (Mode::Read, Mode::Read | Mode::Write) | (Mode::WriteOnly, Mode::WriteOnly)
            );
            assert_eq!(held.is_compatible(Holder::Same, wanted), expected, "{held}, {wanted}");
        }
    }

    #[test]
    fn between_two_clients_it_does_not_matter_who_was_first() {
        for (held, wanted) in pairs() {
            let other_way = wanted.is_compatible(Holder::Another, held);
            assert_eq!(held.is_compatible(Holder::Another, wanted), other_way, "{held}, {wanted}");
        }
    }

    #[test]
    fn what_is_left_after_making_way_is_compatible_and_less() {
        for (held, wanted) in pairs() {
            let left = held.made_way_for(wanted);
            assert!(left.is_compatible(Holder::Another, wanted), "{held}, {wanted}");
            assert!(held.satisfies(left) || left == Mode::Null, "{held}, {wanted}");
        }
        assert_eq!(Mode::Write.made_way_for(Mode::Read), Mode::Read);
    }

    #[test]
    fn a_writer_reads_too_and_a_blind_writer_does_not() {
        for (held, wanted) in pairs() {
            let expected = held == wanted || (held, wanted) == (Mode::Write, Mode::Read);
            assert_eq!(held.satisfies(wanted), expected, "{held}, {wanted}");
            if held.satisfies(wanted) {
                assert!(held.may_read() >= wanted.may_read() && held.may_write() >= wanted.may_write());
            }
        }
    }

    #[test]
    fn every_mode_has_its_number() {
        for mode in Mode::ALL {
            assert_eq!(Mode::from_number(mode.number()), Some(mode));
        }
        assert_eq!(Mode::from_number(4), None);
    }
}
