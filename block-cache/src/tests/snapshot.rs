//! The loop that retries a stale read, and tells damage from age.

use tidelock_format::{BlockNo, BlockRef, Seq};

use super::rig::{self, MAGIC};
use crate::{CacheError, with_snapshot};

/// L-12, P2: what was gathered from older roots is gone when newer ones are read.
#[test]
fn nothing_gathered_from_older_roots_survives_a_retry() {
    let device = rig::device();
    let newest = rig::put_block(&*device, 7, 3);
    let cache = rig::builder(device, 64).build().unwrap();
    let mut generations = (1..).map(|seq| BlockRef::new(BlockNo(7), Seq(seq)));
    let gathered = with_snapshot(
        || Ok(generations.next().expect("generations never end")),
        |root: &BlockRef, gathered: &mut Vec<BlockRef>| {
            gathered.push(*root);
            cache.read_ref(*root, MAGIC).wait().map(drop)
        },
    );
    assert_eq!(gathered, Ok(vec![newest]));
    assert_eq!(generations.next(), Some(BlockRef::new(BlockNo(7), Seq(4))), "roots were fetched three times");
}

/// P3, L-12: the same roots stale twice are damage, and nothing but two attempts was made.
#[test]
fn the_same_roots_stale_twice_are_corrupt() {
    let device = rig::device();
    let there = rig::put_block(&*device, 7, 3);
    let cache = rig::builder(device, 64).build().unwrap();
    let root = BlockRef::new(BlockNo(7), Seq(1));
    let mut fetched = 0;
    let result: Result<(), CacheError> = with_snapshot(
        || {
            fetched += 1;
            Ok(root)
        },
        |root: &BlockRef, (): &mut ()| cache.read_ref(*root, MAGIC).wait().map(drop),
    );
    let Err(CacheError::Corrupt { wanted, found }) = result else { panic!("{result:?}") };
    assert_eq!((wanted, fetched), (root, 2));
    assert!(found.to_string().contains(&there.seq.to_string()), "{found}");
}

/// S-15: "no roots were stale yet" is not the null root: a first stale read under null roots is retried like any other.
#[test]
fn s_15_null_roots_are_roots_like_any_others() {
    let stale = CacheError::Stale {
        wanted: BlockRef::NULL,
        found: tidelock_format::Mismatch::Seq { expected: Seq(0), found: Seq(1) },
    };
    let mut attempts = 0;
    let result = with_snapshot(
        || Ok::<_, CacheError>(BlockRef::NULL),
        |_: &BlockRef, seen: &mut u32| {
            attempts += 1;
            *seen += 1;
            if attempts == 1 { Err(stale.clone()) } else { Ok(()) }
        },
    );
    assert_eq!((result, attempts), (Ok(1), 2));
}

/// Roots that go back and forth never were the same twice in a row, so they are no proof of damage.
#[test]
fn other_roots_in_between_make_the_old_ones_new_again() {
    let device = rig::device();
    let there = rig::put_block(&*device, 7, 3);
    let cache = rig::builder(device, 64).build().unwrap();
    let older = |seq| BlockRef::new(BlockNo(7), Seq(seq));
    let mut roots = [older(1), older(2), older(1), there].into_iter();
    let result = with_snapshot(
        || Ok(roots.next().expect("four are enough")),
        |root: &BlockRef, (): &mut ()| cache.read_ref(*root, MAGIC).wait().map(drop),
    );
    assert_eq!(result, Ok(()));
}

/// L-14: an error that newer roots cannot mend ends the loop as it is, wherever it comes from.
#[test]
fn any_other_error_ends_the_loop_unchanged() {
    let read = with_snapshot(|| Ok::<_, CacheError>(1), |_: &i32, (): &mut ()| Err(CacheError::Closed));
    assert_eq!(read, Err(CacheError::Closed));
    let fetch = with_snapshot(|| Err::<i32, _>(CacheError::Null), |_: &i32, (): &mut ()| Ok(()));
    assert_eq!(fetch, Err(CacheError::Null));
}
