//! A cache as the measuring loops see it.
//!
//! One adapter a file beneath this module, each as thin as its peer allows: what is measured is the peer, and the
//! compiler must be able to inline it into the loop. A cache that can be read in several ways has an adapter for
//! each. [`roster`] lists them all: a new adapter is a file and a line there.

mod dashmap;
mod entrant;
mod fetch_pair;
mod foyer;
mod hasher;
mod moka;
mod ours;
mod papaya;
mod quick_cache;
mod scc;
mod tiny_ufo;

pub use entrant::{Entrant, Prepared};

use crate::block::Reference;

/// One cache, read in one way.
pub trait Contender: Send + Sync + Sized + 'static {
    /// As tables, JSON and `--only` call it.
    const NAME: &'static str;

    /// How it is read, in a few words.
    const ABOUT: &'static str;

    /// An empty cache of that shape.
    fn build(shape: &Shape) -> Self;

    /// Takes the block, checks its number and sequence, and drops what it took; says whether it was there.
    fn lookup(&self, reference: Reference) -> bool;

    /// The same for many blocks, one after the other; says how many were there.
    #[inline(always)]
    fn lookup_all(&self, keys: &[u32]) -> usize {
        lookup_one_by_one(self, keys)
    }

    /// Makes the block and puts it in, without I/O, whatever must go for it.
    fn insert(&self, reference: Reference);

    /// Lets housekeeping that the cache postpones happen now.
    fn settle(&self) {}

    /// What its eviction did since it was built, where it counts that.
    fn reclaimed(&self) -> Option<Reclaimed> {
        None
    }
}

#[inline(always)]
fn lookup_one_by_one<C: Contender>(cache: &C, keys: &[u32]) -> usize {
    keys.iter().filter(|&&key| cache.lookup(Reference::to(key.into()))).count()
}

/// How large a cache is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// How many blocks it may hold.
    pub capacity: usize,
    /// How many it will hold. Below the capacity where nothing may be evicted, so that a peer with
    /// shards of its own keeps them all.
    pub resident: usize,
    /// What it has tables for at first.
    pub start: Start,
}

/// What a cache has tables for when it is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// As little as the cache can begin with; it must grow.
    Empty,
    /// All that will be resident.
    Sized,
}

impl Shape {
    /// The number of blocks to make room for when the cache is built.
    pub fn room(&self) -> usize {
        match self.start {
            Start::Empty => 0,
            Start::Sized => self.resident,
        }
    }
}

/// The work of an eviction.
#[derive(Clone, Copy, Debug)]
pub struct Reclaimed {
    /// Blocks looked at.
    pub visited: u64,
    /// Blocks taken out.
    pub freed: u64,
}

/// Everyone who can take part.
pub fn roster() -> Vec<Entrant> {
    vec![
        Entrant::of::<ours::Pinned>(),
        Entrant::of::<ours::Peeking<1>>(),
        Entrant::of::<ours::Peeking<8>>(),
        Entrant::of::<ours::Peeking<16>>(),
        Entrant::of::<ours::Peeking<32>>(),
        Entrant::of::<ours::Peeking<64>>(),
        Entrant::of::<ours::Stepping<8>>(),
        Entrant::of::<ours::Stepping<16>>(),
        Entrant::of::<ours::Growing<false>>(),
        Entrant::of::<ours::Growing<true>>(),
        Entrant::of::<quick_cache::QuickCache>(),
        Entrant::of::<moka::Moka>(),
        Entrant::of::<foyer::Foyer>(),
        Entrant::of::<tiny_ufo::TinyUfo>(),
        Entrant::of::<papaya::Papaya>(),
        Entrant::of::<papaya::PapayaArc>(),
        Entrant::of::<dashmap::DashMap>(),
        Entrant::of::<scc::Scc>(),
        Entrant::of::<fetch_pair::FetchPair>(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finds_what_was_inserted_and_nothing_else<C: Contender>() {
        let cache = C::build(&Shape { capacity: 4096, resident: 1024, start: Start::Sized });
        (0..1024).for_each(|blkno| cache.insert(Reference::to(blkno)));
        cache.settle();
        // One by one, as a cache may refuse an insert.
        let found = (0..1024).filter(|&blkno| cache.lookup(Reference::to(blkno))).count();
        assert!(found > 1000, "{}: {found} of 1024", C::NAME);
        let all: Vec<u32> = (0..1024).collect();
        assert_eq!(cache.lookup_all(&all), found, "{}", C::NAME);
        let other_version = Reference { seq: 1, ..Reference::to(5) };
        assert!(!cache.lookup(other_version), "{} does not check the sequence", C::NAME);
        assert!(!cache.lookup(Reference::to(5000)), "{}", C::NAME);
    }

    fn grows_from_nothing<C: Contender>() {
        let cache = C::build(&Shape { capacity: 8192, resident: 4096, start: Start::Empty });
        (0..4096).for_each(|blkno| cache.insert(Reference::to(blkno)));
        cache.settle();
        let found = (0..4096).filter(|&blkno| cache.lookup(Reference::to(blkno))).count();
        assert!(found > 4000, "{}: {found} of 4096", C::NAME);
    }

    fn keeps_to_its_capacity<C: Contender>() {
        let cache = C::build(&Shape { capacity: 1024, resident: 1024, start: Start::Sized });
        for blkno in 0..65_536 {
            cache.insert(Reference::to(blkno));
            cache.settle();
        }
        let found = (0..65_536).filter(|&blkno| cache.lookup(Reference::to(blkno))).count();
        assert!((512..=1100).contains(&found), "{}: {found} of 1024", C::NAME);
    }

    macro_rules! test_contenders {
        ($test:ident: $($name:ident = $contender:ty),+ $(,)?) => {
            mod $test {
                $(#[test]
                fn $name() {
                    super::$test::<$contender>();
                })+
            }
        };
    }

    test_contenders! { finds_what_was_inserted_and_nothing_else:
        ours_pinned = crate::contender::ours::Pinned,
        ours_guarded = crate::contender::ours::Peeking<1>,
        ours_batch8 = crate::contender::ours::Peeking<8>,
        ours_batch16 = crate::contender::ours::Peeking<16>,
        ours_batch32 = crate::contender::ours::Peeking<32>,
        ours_batch64 = crate::contender::ours::Peeking<64>,
        ours_step8 = crate::contender::ours::Stepping<8>,
        ours_step16 = crate::contender::ours::Stepping<16>,
        ours_grown = crate::contender::ours::Growing<false>,
        ours_presized = crate::contender::ours::Growing<true>,
        quick_cache = crate::contender::quick_cache::QuickCache,
        moka = crate::contender::moka::Moka,
        foyer = crate::contender::foyer::Foyer,
        tiny_ufo = crate::contender::tiny_ufo::TinyUfo,
        papaya = crate::contender::papaya::Papaya,
        papaya_arc = crate::contender::papaya::PapayaArc,
        dashmap = crate::contender::dashmap::DashMap,
        scc = crate::contender::scc::Scc,
    }

    test_contenders! { grows_from_nothing:
        ours_pinned = crate::contender::ours::Pinned,
        ours_guarded = crate::contender::ours::Peeking<1>,
        ours_batch8 = crate::contender::ours::Peeking<8>,
        ours_batch16 = crate::contender::ours::Peeking<16>,
        ours_batch32 = crate::contender::ours::Peeking<32>,
        ours_batch64 = crate::contender::ours::Peeking<64>,
        ours_step8 = crate::contender::ours::Stepping<8>,
        ours_step16 = crate::contender::ours::Stepping<16>,
        ours_grown = crate::contender::ours::Growing<false>,
        ours_presized = crate::contender::ours::Growing<true>,
        quick_cache = crate::contender::quick_cache::QuickCache,
        papaya = crate::contender::papaya::Papaya,
        papaya_arc = crate::contender::papaya::PapayaArc,
        dashmap = crate::contender::dashmap::DashMap,
        scc = crate::contender::scc::Scc,
    }

    test_contenders! { keeps_to_its_capacity:
        ours = crate::contender::ours::Pinned,
        quick_cache = crate::contender::quick_cache::QuickCache,
        moka = crate::contender::moka::Moka,
        foyer = crate::contender::foyer::Foyer,
        tiny_ufo = crate::contender::tiny_ufo::TinyUfo,
    }

    #[test]
    fn no_two_contenders_share_a_name() {
        let mut names: Vec<&str> = roster().iter().map(|entrant| entrant.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
