//! How fast is the block cache, beside what one would use otherwise?
//!
//! The program `peers` answers with ratios. It runs our cache and its peers on the same keys, in turns, in one
//! process, so that a slow spell of the machine meets both sides of every ratio. The README beside this crate
//! tells how to run it and how to read it; here is where things are:
//!
//! | module | its noun |
//! |---|---|
//! | [`block`] | the 64-byte block that every cache holds, and the reference a lookup checks it against |
//! | [`contender`] | the trait a cache is measured through; one adapter a file beneath it |
//! | [`rng`], [`zipf`], [`keys`] | the key streams |
//! | [`workload`] | what is done to a cache: one kind of work a file |
//! | [`rig`], [`threads`], [`clock`], [`histogram`] | the instruments |
//! | [`sample`] | what one measurement found |
//! | [`plan`], [`goals`] | who meets whom, and which figure must come out: data |
//! | [`selection`] | what of the plan the caller wants to see |
//! | [`tournament`] | the interleaved run |
//! | [`spread`], [`report`] | medians and ratios; the table and the JSON lines |
//! | [`scale`] | how much of everything: in full, or quick |
//! | [`volume`] | formatted blocks on a device in memory, for the criterion groups in `benches/` |
//!
//! The adapters are generic parameters of the measuring loops, never trait objects inside them: a lookup takes
//! some ten nanoseconds, and a virtual call would be a good part of that.
#![forbid(unsafe_code)]

pub mod block;
pub mod cli;
pub mod clock;
pub mod contender;
pub mod goals;
pub mod histogram;
pub mod keys;
pub mod machine;
pub mod plan;
pub mod report;
pub mod rig;
pub mod rng;
pub mod sample;
pub mod scale;
pub mod selection;
pub mod spread;
pub mod threads;
pub mod tournament;
pub mod volume;
pub mod workload;
pub mod zipf;
