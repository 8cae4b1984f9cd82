//! Caches that share a budget.

use tidelock_format::{BlockNo, BlockRef, Seq};

use super::rig::{self, MAGIC, SIZE};
use crate::{BlockCache, MemoryBudget};

const BLOCK: u64 = SIZE.bytes() as u64;

fn member(budget: &MemoryBudget, name: &str) -> BlockCache {
    rig::builder(rig::device(), 200).budget(budget).name(name).build().unwrap()
}

fn fill(cache: &BlockCache, blocks: u64) {
    for blkno in 1..=blocks {
        drop(cache.insert(BlockRef::new(BlockNo(blkno), Seq(1)), MAGIC, |_| {}).expect("nothing is pinned"));
    }
}

fn used(cache: &BlockCache) -> u64 {
    cache.stats().used_bytes
}

#[test]
fn together_they_never_use_more_than_the_limit() {
    let budget = MemoryBudget::fixed(100 * BLOCK);
    let caches = ["a", "b"].map(|name| member(&budget, name));
    for round in 0..5 {
        for cache in &caches {
            fill(cache, 150);
            let sum: u64 = caches.iter().map(used).sum();
            assert_eq!(sum, budget.used(), "round {round}: the books agree");
            assert!(sum <= 100 * BLOCK, "round {round}: {sum}");
        }
    }
    caches.into_iter().for_each(rig::close_clean);
    assert_eq!(budget.used(), 0, "closed caches have given everything back");
}

#[test]
fn who_comes_late_gets_a_fair_share() {
    let budget = MemoryBudget::fixed(100 * BLOCK);
    let rich = member(&budget, "rich");
    fill(&rich, 300);
    assert!(used(&rich) > 90 * BLOCK);
    let poor = member(&budget, "poor");
    fill(&poor, 300);
    assert!(used(&poor) > 45 * BLOCK, "{} and {}", used(&rich), used(&poor));
    assert!(used(&rich) + used(&poor) <= 100 * BLOCK);
    rig::close_clean(poor);
    fill(&rich, 300);
    assert!(used(&rich) > 90 * BLOCK, "what a closed cache had is there for the others");
    rig::close_clean(rich);
}

#[test]
fn lowering_the_limit_lowers_all() {
    let budget = MemoryBudget::fixed(200 * BLOCK);
    let caches = ["a", "b"].map(|name| member(&budget, name));
    caches.iter().for_each(|cache| fill(cache, 100));
    let before = budget.used();
    let shrunk = budget.set_limit(60 * BLOCK);
    assert_eq!(before - budget.used(), shrunk.freed_bytes);
    assert!(budget.used() <= 60 * BLOCK, "{}", budget.used());
    for cache in &caches {
        assert!(used(cache) < 50 * BLOCK, "each gave its share: {}", used(cache));
        fill(cache, 100);
    }
    assert!(budget.used() <= 60 * BLOCK);
    let shrunk = budget.shrink(10 * BLOCK);
    assert!(shrunk.freed_bytes.abs_diff(10 * BLOCK) <= 2 * BLOCK, "S-33: {shrunk:?}");
    caches.into_iter().for_each(rig::close_clean);
}
