//! Who speaks, in which life of theirs, and what they have heard of.
//!
//! Each of these counters says something else, none ever goes back, and each is a type of its own, because every mix-up of
//! two of them has been a bug in some cluster:
//!
//! | counter | given out by | rises when | tells |
//! |---|---|---|---|
//! | [`Incarnation`] | the server, for each client | a client opens a new session | two lives of one client apart |
//! | [`Term`] | the authority | somebody becomes the server | two servers apart |
//! | [`GraceEpoch`] | the server, durably | a server begins to recover | who may reclaim in which recovery |
//! | [`FenceEpoch`] | the server, durably | a client is fenced | what was known of fencing when a lock was granted |
//! | [`GrantSeq`] | the server, from one in each term | a lock is granted | two grants of one term apart |

use std::fmt;

#[cfg(doc)]
use crate::GrantSeq;

/// A client: 128 bits that stand for whoever its connections prove to be, and for which of theirs it is. It keeps them for
/// good. Zero is nobody's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(u128);

impl ClientId {
    /// The client with these bits; `None` for zero.
    pub const fn new(bits: u128) -> Option<Self> {
        if bits == 0 { None } else { Some(Self(bits)) }
    }

    /// Its bits.
    pub const fn bits(self) -> u128 {
        self.0
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientId({self})")
    }
}

macro_rules! counter {
    ($(#[$about:meta])* $name:ident) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl $name {
            /// The one after this.
            ///
            /// # Panics
            /// After the last: nobody counts that far.
            pub const fn next(self) -> Self {
                match self.0.checked_add(1) {
                    Some(next) => Self(next),
                    None => panic!(concat!(stringify!($name), " has come to its end")),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}
pub(crate) use counter;

counter! {
    /// One life of one client: the session that it opened then. Zero before its first.
    Incarnation
}

counter! {
    /// One life of the service: whoever leads has a greater one than all who led before. Zero before the first.
    Term
}

counter! {
    /// One recovery: the clients that were known when it began may reclaim what they held.
    GraceEpoch
}

counter! {
    /// How many times clients were fenced. As a *barrier* it travels with every message: a server's says what the client must
    /// have heard of before it does I/O under a lock, a client's says what it has heard of.
    FenceEpoch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_client_zero() {
        assert_eq!(ClientId::new(0), None);
        assert_eq!(ClientId::new(0xab).unwrap().to_string(), format!("{:0>32}", "ab"));
    }

    #[test]
    fn counters_only_rise() {
        assert!(Term(7).next() > Term(7));
    }

    #[test]
    #[should_panic(expected = "Incarnation has come to its end")]
    fn a_counter_never_begins_again() {
        let _ = Incarnation(u64::MAX).next();
    }
}
