//! What can go wrong, by kind.

use std::fmt;
use std::str::FromStr;

/// A kind of fault. Each can be switched by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// A connection breaks. Both ends are told, and of what was on its way a part arrives.
    Cut,
    /// A connection breaks, and one end is not told.
    HalfOpen,
    /// Nothing passes between a client and a server for a while, one way or both; then everything does.
    Partition,
    /// What is sent takes very long for a while.
    Delay,
    /// What was on its way when its receiver closed the connection is handed to it all the same, later.
    LateData,
    /// A client's process dies, and another begins; as the same client, mostly.
    ClientCrash,
    /// A client's process stands still, for longer than any time limit perhaps.
    ClientFreeze,
    /// A client leaves in order, and comes back as another.
    ClientLeave,
    /// A client ends its session without a word.
    ClientAbandon,
    /// Invalidations take very long for a while.
    SlowInvalidation,
    /// A server's process dies, and begins again later.
    ServerCrash,
    /// It dies at the worst moment: around a change of the records, an answer, a campaign.
    CrashPoint,
    /// A server's process stands still. Nobody else leads meanwhile: it is alive.
    ServerFreeze,
    /// Another server takes over while the leader runs, which learns of it a moment later.
    Usurp,
    /// A leader is asked to stop, and another takes over.
    HandOver,
    /// The records cannot be written for a while.
    RecordsRefuse,
    /// A change of the records is made, and the answer lost.
    RecordsUnknown,
    /// The records take their time for a while.
    RecordsSlow,
    /// Clocks run apart, as far as the plan of time limits allows.
    Drift,
    /// The time of day jumps.
    WallClock,
    /// Writes are on their way to the store for longer than their locks are held.
    SlowStore,
    /// Those who wait for locks lose their patience.
    Impatience,
}

impl Fault {
    /// Every kind.
    pub const ALL: [Fault; 22] = [
        Fault::Cut,
        Fault::HalfOpen,
        Fault::Partition,
        Fault::Delay,
        Fault::LateData,
        Fault::ClientCrash,
        Fault::ClientFreeze,
        Fault::ClientLeave,
        Fault::ClientAbandon,
        Fault::SlowInvalidation,
        Fault::ServerCrash,
        Fault::CrashPoint,
        Fault::ServerFreeze,
        Fault::Usurp,
        Fault::HandOver,
        Fault::RecordsRefuse,
        Fault::RecordsUnknown,
        Fault::RecordsSlow,
        Fault::Drift,
        Fault::WallClock,
        Fault::SlowStore,
        Fault::Impatience,
    ];

    /// What it is called on a command line.
    pub const fn name(self) -> &'static str {
        match self {
            Fault::Cut => "cut",
            Fault::HalfOpen => "half-open",
            Fault::Partition => "partition",
            Fault::Delay => "delay",
            Fault::LateData => "late-data",
            Fault::ClientCrash => "client-crash",
            Fault::ClientFreeze => "client-freeze",
            Fault::ClientLeave => "client-leave",
            Fault::ClientAbandon => "client-abandon",
            Fault::SlowInvalidation => "slow-invalidation",
            Fault::ServerCrash => "server-crash",
            Fault::CrashPoint => "crash-point",
            Fault::ServerFreeze => "server-freeze",
            Fault::Usurp => "usurp",
            Fault::HandOver => "hand-over",
            Fault::RecordsRefuse => "records-refuse",
            Fault::RecordsUnknown => "records-unknown",
            Fault::RecordsSlow => "records-slow",
            Fault::Drift => "drift",
            Fault::WallClock => "wall-clock",
            Fault::SlowStore => "slow-store",
            Fault::Impatience => "impatience",
        }
    }

    /// Whether it is so all the time, rather than at moments.
    pub(crate) const fn is_standing(self) -> bool {
        matches!(self, Fault::Drift | Fault::Impatience)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A set of kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Faults(u32);

impl Faults {
    /// Every kind.
    pub const ALL: Self = Self((1 << Fault::ALL.len()) - 1);
    /// None.
    pub const NONE: Self = Self(0);

    /// Whether this kind is among them.
    pub const fn has(self, fault: Fault) -> bool {
        self.0 & 1 << fault as u32 != 0
    }

    /// These and one more.
    pub const fn with(self, fault: Fault) -> Self {
        Self(self.0 | 1 << fault as u32)
    }

    /// These without one.
    pub const fn without(self, fault: Fault) -> Self {
        Self(self.0 & !(1 << fault as u32))
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Fault> {
        Fault::ALL.into_iter().filter(move |fault| self.has(*fault))
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::ALL {
            return f.write_str("all");
        }
        if self.is_empty() {
            return f.write_str("none");
        }
        let names: Vec<_> = self.iter().map(Fault::name).collect();
        f.write_str(&names.join(","))
    }
}

/// No such kind of fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownFault(String);

impl fmt::Display for UnknownFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = Fault::ALL.iter().map(|fault| fault.name()).collect();
        write!(f, "there is no fault called {:?}; there are all, none, {}", self.0, names.join(", "))
    }
}

impl std::error::Error for UnknownFault {}

impl FromStr for Faults {
    type Err = UnknownFault;

    /// Names with commas between them; `all` and `none` stand for what they say.
    fn from_str(text: &str) -> Result<Self, UnknownFault> {
        let mut faults = Self::NONE;
        for name in text.split(',').map(str::trim) {
            match name {
                "all" => faults = Self::ALL,
                "none" => {}
                name => {
                    let found = Fault::ALL.into_iter().find(|fault| fault.name() == name);
                    faults = faults.with(found.ok_or_else(|| UnknownFault(name.into()))?);
                }
            }
        }
        Ok(faults)
    }
}

/// How often each kind happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally([u64; Fault::ALL.len()]);

impl Tally {
    pub(crate) fn count(&mut self, fault: Fault) {
        self.0[fault as usize] += 1;
    }

    /// How often this kind happened.
    pub fn of(&self, fault: Fault) -> u64 {
        self.0[fault as usize]
    }

    /// Adds another run's.
    pub fn add(&mut self, other: &Tally) {
        self.0.iter_mut().zip(other.0).for_each(|(mine, theirs)| *mine += theirs);
    }

    /// All together.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read_as_it_is_written() {
        for fault in Fault::ALL {
            assert_eq!(fault.name().parse(), Ok(Faults::NONE.with(fault)));
        }
        assert_eq!("all".parse(), Ok(Faults::ALL));
        assert_eq!(Faults::ALL.to_string().parse(), Ok(Faults::ALL));
        let two = Faults::NONE.with(Fault::Cut).with(Fault::Drift);
        assert_eq!(two.to_string(), "cut,drift");
        assert!("flood".parse::<Faults>().unwrap_err().to_string().contains("half-open"));
    }
}
