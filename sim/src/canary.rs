//! Bugs that are planted on purpose, to see that they are found.
//!
//! None is in the machines: each is in what the simulation wraps around them, and shows to the outside what a machine with that
//! bug would show.

use std::fmt;

use crate::{Fault, Faults, Property};

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Canary {
    /// A lease is told to clients as longer than it is.
    LongLease,
    /// Clocks run apart much further than the plan of time limits allows.
    WildClocks,
    /// A client's clock stands still while its process does.
    SleepyClock,
    /// A client is granted more than the server decided.
    GrantTooMuch,
    /// A client asks again for what it has asked for already.
    AskTwice,
    /// A grant and the call to come down that follows it are delivered the wrong way round.
    Swapped,
    /// A new server does not know of a client of the last one.
    ForgottenClient,
    /// A client tells a new server of a lock that is being invalidated as what it will be.
    NewModeTold,
    /// A session's record is deleted when its end begins, and not when it has ended.
    RecordFirst,
    /// A session's record is gone as soon as it was made.
    RecordGone,
    /// A grant gets lost.
    GrantLost,
    /// Somebody who waits is not woken.
    NotWoken,
    /// A leader that was deposed goes on, and its changes are accepted.
    DeposedWrites,
    /// A client says that it came down before its caches are dropped.
    CedeEarly,
    /// A client that has left still says something.
    Revenant,
    /// Tokens repeat.
    TokenRepeats,
    /// The store does not look at tokens.
    NoGate,
    /// A lock is used after it was given up.
    UseAfterDrop,
    /// A client cedes what it was not told to.
    Liar,
    /// A server's table is told to be at odds with itself.
    Panic,
}

impl Canary {
    /// Every one.
    pub const ALL: [Canary; 20] = [
        Canary::LongLease,
        Canary::WildClocks,
        Canary::SleepyClock,
        Canary::GrantTooMuch,
        Canary::AskTwice,
        Canary::Swapped,
        Canary::ForgottenClient,
        Canary::NewModeTold,
        Canary::RecordFirst,
        Canary::RecordGone,
        Canary::GrantLost,
        Canary::NotWoken,
        Canary::DeposedWrites,
        Canary::CedeEarly,
        Canary::Revenant,
        Canary::TokenRepeats,
        Canary::NoGate,
        Canary::UseAfterDrop,
        Canary::Liar,
        Canary::Panic,
    ];

    /// What it is called on a command line.
    pub const fn name(self) -> &'static str {
        match self {
            Canary::LongLease => "long-lease",
            Canary::WildClocks => "wild-clocks",
            Canary::SleepyClock => "sleepy-clock",
            Canary::GrantTooMuch => "grant-too-much",
            Canary::AskTwice => "ask-twice",
            Canary::Swapped => "swapped",
            Canary::ForgottenClient => "forgotten-client",
            Canary::NewModeTold => "new-mode-told",
            Canary::RecordFirst => "record-first",
            Canary::RecordGone => "record-gone",
            Canary::GrantLost => "grant-lost",
            Canary::NotWoken => "not-woken",
            Canary::DeposedWrites => "deposed-writes",
            Canary::CedeEarly => "cede-early",
            Canary::Revenant => "revenant",
            Canary::TokenRepeats => "token-repeats",
            Canary::NoGate => "no-gate",
            Canary::UseAfterDrop => "use-after-drop",
            Canary::Liar => "liar",
            Canary::Panic => "panic",
        }
    }

    /// The one that is called so.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|canary| canary.name() == name)
    }

    /// What has to find it, though others may be quicker in a given run.
    pub const fn betrayed_to(self) -> Property {
        match self {
            Canary::LongLease | Canary::WildClocks | Canary::SleepyClock => Property::Exclusion,
            Canary::GrantTooMuch => Property::GrantAfterDrain,
            Canary::AskTwice => Property::OneOutstanding,
            Canary::Swapped => Property::LocalOrder,
            Canary::ForgottenClient | Canary::NewModeTold => Property::Barrier,
            Canary::RecordFirst => Property::RecordLast,
            Canary::RecordGone => Property::NoGhosts,
            Canary::GrantLost => Property::NoLostWakeUp,
            Canary::NotWoken => Property::NoLostRequest,
            Canary::DeposedWrites => Property::SingleAuthority,
            Canary::CedeEarly => Property::CacheLegality,
            Canary::Revenant => Property::Quiescence,
            Canary::TokenRepeats => Property::MonotoneTokens,
            Canary::NoGate | Canary::UseAfterDrop => Property::Linearizable,
            Canary::Liar => Property::NoAccusation,
            Canary::Panic => Property::Machine,
        }
    }

    /// The faults without which it would not show.
    pub(crate) const fn needs(self) -> Faults {
        let fault = match self {
            Canary::LongLease | Canary::WildClocks => Fault::Partition,
            Canary::SleepyClock => Fault::ClientFreeze,
            Canary::ForgottenClient => Fault::ServerCrash,
            Canary::NewModeTold => {
                return Faults::NONE.with(Fault::ServerCrash).with(Fault::SlowInvalidation);
            }
            Canary::RecordFirst => Fault::ClientLeave,
            Canary::DeposedWrites => Fault::Usurp,
            Canary::NoGate => return Faults::NONE.with(Fault::SlowStore).with(Fault::Partition),
            _ => return Faults::NONE,
        };
        Faults::NONE.with(fault)
    }
}

impl fmt::Display for Canary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
