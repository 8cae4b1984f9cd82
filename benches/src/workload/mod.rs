//! What is done to a cache.
//!
//! A [`Workload`] is loaded with its key streams, prepares a cache of any type as it wants to find it, and
//! measures it as often as asked, with as many operations each time.

mod demand;
mod growth;
mod lookup;
mod pressure;
mod scan;

use growth::Growth;
use lookup::Lookup;
use pressure::Pressure;
use scan::Scan;

use crate::{
    contender::{Contender, Shape},
    keys::Draw,
    rig::Rig,
    sample::Sample,
    scale::Scale,
};

/// A workload by name.
#[derive(Clone, Copy, Debug)]
pub struct Described {
    /// As tables, JSON and `--only` call it.
    pub name: &'static str,
    /// What it does.
    pub about: &'static str,
    /// Draws its keys; the number is the seed.
    pub load: fn(&Scale, u64) -> Workload,
}

/// Every workload there is.
pub const ALL: &[Described] = &[
    Described {
        name: "pinned-uniform",
        about: "64 Ki resident blocks, all keys alike; the reader leaves with a handle",
        load: |scale, seed| Workload::Lookup(Lookup::near(Draw::Uniform, scale.lookups, seed)),
    },
    Described {
        name: "pinned-zipf",
        about: "the same, Zipf 0.99",
        load: |scale, seed| Workload::Lookup(Lookup::near(Draw::Zipf(0.99), scale.lookups, seed)),
    },
    Described {
        name: "pinned-hot",
        about: "the same, one block only; times single lookups too",
        load: |scale, seed| Workload::Lookup(Lookup::near(Draw::Hot, scale.lookups, seed)),
    },
    Described {
        name: "guarded-uniform",
        about: "64 Ki resident blocks, all keys alike; read in place under a guard per lookup",
        load: |scale, seed| Workload::Lookup(Lookup::near(Draw::Uniform, scale.fast_lookups, seed)),
    },
    Described {
        name: "guarded-zipf",
        about: "the same, Zipf 0.99",
        load: |scale, seed| Workload::Lookup(Lookup::near(Draw::Zipf(0.99), scale.fast_lookups, seed)),
    },
    Described {
        name: "guarded-hot",
        about: "the same, one block only; times single lookups too",
        load: |scale, seed| Workload::Lookup(Lookup::near(Draw::Hot, scale.fast_lookups, seed)),
    },
    Described {
        name: "dram-pinned",
        about: "4 Mi resident blocks, all keys alike: table and headers in DRAM; the reader leaves with a handle",
        load: |scale, seed| Workload::Lookup(Lookup::far(scale.far_lookups, seed)),
    },
    Described {
        name: "dram-guarded",
        about: "the same, read in place under a guard per lookup",
        load: |scale, seed| Workload::Lookup(Lookup::far(scale.far_lookups, seed)),
    },
    Described {
        name: "dram-batch",
        about: "the same, several keys at a time; time per key",
        load: |scale, seed| Workload::Lookup(Lookup::far(scale.far_lookups, seed)),
    },
    Described {
        name: "pressure",
        about: "Zipf 0.9 over 640 Ki blocks, room for 64 Ki; a miss inserts, without I/O; times single inserts too",
        load: |scale, seed| Workload::Pressure(Pressure::load(scale, seed)),
    },
    Described {
        name: "scan",
        about: "the same, and beside it a scan that asks for as many blocks, each once",
        load: |scale, seed| Workload::Scan(Scan::load(scale, seed)),
    },
    Described {
        name: "growth",
        about: "4 Mi inserts into a cache that begins empty; the longest of them",
        load: |_, _| Workload::Growth(Growth),
    },
];

/// A workload with its keys.
#[derive(Debug)]
pub enum Workload {
    /// Lookups that hit.
    Lookup(Lookup),
    /// More keys than room.
    Pressure(Pressure),
    /// The same beside a scan.
    Scan(Scan),
    /// Inserts alone.
    Growth(Growth),
}

/// One measurement of one cache.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    /// How often this cache was measured before.
    pub number: u64,
    /// With how many threads now.
    pub threads: usize,
}

/// How a workload wants to find a cache. Workloads with the same wish share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    /// How it is built.
    pub shape: Shape,
    /// What is in it.
    pub content: Content,
}

/// What is in a cache when it is measured first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Nothing; one measurement uses the cache up.
    Nothing,
    /// Every key.
    AllKeys,
    /// What remained of many demands.
    Survivors,
}

impl Workload {
    /// How it wants to find a cache.
    pub fn setup(&self) -> Setup {
        match self {
            Self::Lookup(lookup) => lookup.setup(),
            Self::Pressure(_) | Self::Scan(_) => demand::setup(),
            Self::Growth(_) => growth::setup(),
        }
    }

    /// A new cache as it wants to find one.
    pub(crate) fn prepare<C: Contender>(&self) -> C {
        let cache = C::build(&self.setup().shape);
        match self {
            Self::Lookup(lookup) => lookup.fill(&cache),
            Self::Pressure(pressure) => pressure.warm(&cache),
            Self::Scan(scan) => scan.warm(&cache),
            Self::Growth(_) => {}
        }
        cache
    }

    /// Does its operations once.
    pub(crate) fn measure<C: Contender>(&self, cache: &C, rig: &Rig, turn: Turn) -> Sample {
        match self {
            Self::Lookup(lookup) => lookup.measure(cache, rig, turn.threads),
            Self::Pressure(pressure) => pressure.measure(cache, rig, turn),
            Self::Scan(scan) => scan.measure(cache, rig, turn),
            Self::Growth(_) => growth::measure(cache, rig),
        }
    }
}
