//! What must always be so, whatever goes wrong: one property a file.
//!
//! Each is told every [`Fact`], sees the [`Scene`] at that moment, and answers with what is wrong, if anything is. None of them
//! is told by the machines whether all is well: they compare what clients believe, what was said on the wire, what the records
//! say, and what a store was asked to do.

mod accusation;
mod answered;
mod barrier;
mod cache;
mod drain;
mod ended;
mod exclusion;
mod ghosts;
mod linear;
mod order;
mod outstanding;
mod quiescence;
mod record;
mod single;
mod tokens;

use std::fmt;

pub(crate) use self::linear::Call;
use crate::facts::{Fact, Scene};

/// What is wrong, if anything is.
pub(crate) type Verdict = Result<(), String>;

/// A property that watches a run.
pub(crate) trait Watch {
    /// Something happened.
    fn see(&mut self, fact: &Fact<'_>, scene: &Scene<'_>) -> Verdict;
}

/// The properties, by what they are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Property {
    /// No two clients believe that they hold incompatible modes of a lock.
    Exclusion,
    /// A grant is sent when nobody is in its way any more.
    GrantAfterDrain,
    /// One question and one call to come down at a time, for each client and lock.
    OneOutstanding,
    /// What a server says of a lock takes effect in the order in which it was said.
    LocalOrder,
    /// A new server grants nothing while somebody holds what it does not know of.
    Barrier,
    /// Who stands in a server's table has a record.
    NoGhosts,
    /// A record goes when nothing is left of its session.
    RecordLast,
    /// When nothing goes wrong any more, nobody waits for ever.
    NoLostWakeUp,
    /// Who asked for a lock is told how it came out.
    NoLostRequest,
    /// Who leads no longer changes nothing.
    SingleAuthority,
    /// Nothing is cached that is not covered.
    CacheLegality,
    /// After the end there is nothing.
    Quiescence,
    /// Tokens rise.
    MonotoneTokens,
    /// Registers under locks behave like registers.
    Linearizable,
    /// Nobody who follows the protocol is accused of anything.
    NoAccusation,
    /// No machine finds its own invariants broken.
    Machine,
}

impl Property {
    /// All of them.
    pub const ALL: [Property; 16] = [
        Property::Exclusion,
        Property::GrantAfterDrain,
        Property::OneOutstanding,
        Property::LocalOrder,
        Property::Barrier,
        Property::NoGhosts,
        Property::RecordLast,
        Property::NoLostWakeUp,
        Property::NoLostRequest,
        Property::SingleAuthority,
        Property::CacheLegality,
        Property::Quiescence,
        Property::MonotoneTokens,
        Property::Linearizable,
        Property::NoAccusation,
        Property::Machine,
    ];

    /// The one with this number.
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|property| property.id() == id)
    }

    /// Its number in `docs/invariants.md`.
    pub const fn id(self) -> &'static str {
        match self {
            Property::Exclusion => "Z-1",
            Property::GrantAfterDrain => "Z-2",
            Property::OneOutstanding => "Z-3",
            Property::LocalOrder => "Z-4",
            Property::Barrier => "Z-5",
            Property::NoGhosts => "Z-6",
            Property::RecordLast => "Z-7",
            Property::NoLostWakeUp => "Z-8",
            Property::NoLostRequest => "Z-9",
            Property::SingleAuthority => "Z-10",
            Property::CacheLegality => "Z-11",
            Property::Quiescence => "Z-12",
            Property::MonotoneTokens => "Z-13",
            Property::Linearizable => "Z-14",
            Property::NoAccusation => "Z-15",
            Property::Machine => "Z-16",
        }
    }

    /// What it is about, in a few words.
    pub const fn name(self) -> &'static str {
        match self {
            Property::Exclusion => "exclusion",
            Property::GrantAfterDrain => "grant after drain",
            Property::OneOutstanding => "one outstanding each way",
            Property::LocalOrder => "local order",
            Property::Barrier => "recovery barrier",
            Property::NoGhosts => "no ghosts",
            Property::RecordLast => "record last",
            Property::NoLostWakeUp => "no lost wake-up",
            Property::NoLostRequest => "no lost request",
            Property::SingleAuthority => "single authority",
            Property::CacheLegality => "cache legality",
            Property::Quiescence => "quiescence",
            Property::MonotoneTokens => "monotone tokens",
            Property::Linearizable => "linearizable registers",
            Property::NoAccusation => "no accusation",
            Property::Machine => "a machine's own invariants",
        }
    }
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.id(), self.name())
    }
}

/// A property that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub property: Property,
    /// What is wrong.
    pub what: String,
    /// When, as time since the run began.
    pub at: std::time::Duration,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {:.6} s: {}", self.property, self.at.as_secs_f64(), self.what)
    }
}

/// All properties of one run.
pub(crate) struct Judge {
    watches: Vec<(Property, Box<dyn Watch>)>,
    only: Option<Property>,
    pub(crate) violation: Option<Violation>,
}

impl Judge {
    /// Looks at every property, or at one.
    pub(crate) fn new(only: Option<Property>) -> Self {
        let mut watches: Vec<(Property, Box<dyn Watch>)> = vec![
            (Property::Exclusion, Box::new(exclusion::Exclusion)),
            (Property::GrantAfterDrain, Box::new(drain::Drain)),
            (Property::OneOutstanding, Box::new(outstanding::Outstanding::default())),
            (Property::LocalOrder, Box::new(order::Order::default())),
            (Property::Barrier, Box::new(barrier::Barrier)),
            (Property::NoGhosts, Box::new(ghosts::Ghosts)),
            (Property::RecordLast, Box::new(record::RecordLast)),
            (Property::NoLostWakeUp, Box::new(answered::Answered)),
            (Property::NoLostRequest, Box::new(ended::Ended::default())),
            (Property::SingleAuthority, Box::new(single::Single)),
            (Property::CacheLegality, Box::new(cache::Cache)),
            (Property::Quiescence, Box::new(quiescence::Quiescence)),
            (Property::MonotoneTokens, Box::new(tokens::Tokens::default())),
            (Property::Linearizable, Box::new(linear::Linear::default())),
            (Property::NoAccusation, Box::new(accusation::Accusation)),
        ];
        watches.retain(|(property, _)| only.is_none_or(|only| only == *property));
        Self { watches, only, violation: None }
    }

    /// Notes what is wrong, if this is looked at and nothing was wrong before.
    pub(crate) fn note(&mut self, violation: Violation) {
        if self.only.is_none_or(|only| only == violation.property) {
            self.violation.get_or_insert(violation);
        }
    }

    /// Shows a fact to every property. The first that objects decides.
    pub(crate) fn see(&mut self, fact: &Fact<'_>, scene: &Scene<'_>) {
        if self.violation.is_some() {
            return;
        }
        for (property, watch) in &mut self.watches {
            if let Err(what) = watch.see(fact, scene) {
                self.violation = Some(Violation { property: *property, what, at: scene.now });
                return;
            }
        }
    }
}
