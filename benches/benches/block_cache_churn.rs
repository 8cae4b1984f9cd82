//! What does turning the cache over cost: inserting into a full one, committing, and shrinking caches of two sizes?
//!
//! `shrink 1 MiB` must not grow with the size of the cache.

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tidelock_benches::volume::{MAGIC, Volume};
use tidelock_block_cache::{BlockCache, BlockSupply, SupplyError};
use tidelock_format::{BlockNo, BlockRef, BlockSize, Seq};

const VOLUME_BLOCKS: u64 = 1 << 16;
const COMMIT: usize = 256;

fn volume() -> Volume {
    let mut volume = Volume::format(VOLUME_BLOCKS / 2, BlockSize::MIN);
    volume.refs.truncate(COMMIT);
    volume
}

/// Enters blocks from number `next` on, round and round.
fn insert(cache: &BlockCache, next: &mut u64, count: u64) {
    for _ in 0..count {
        *next = *next % (VOLUME_BLOCKS - 1) + 1;
        let block = BlockRef::new(BlockNo(*next), Seq(*next));
        drop(cache.insert(block, MAGIC, |_| {}).expect("nothing is held"));
    }
}

/// Round and round over a part of the volume that is not formatted.
struct Rounds(u64);

impl BlockSupply for Rounds {
    fn replace(&mut self, _old: Option<BlockNo>) -> Result<BlockNo, SupplyError> {
        self.0 = (self.0 + 1) % (4 * COMMIT as u64);
        Ok(BlockNo(VOLUME_BLOCKS / 2 + 1 + self.0))
    }
}

fn churn(criterion: &mut Criterion) {
    let volume = volume();
    let mut group = criterion.benchmark_group("block_cache_churn");

    let cache = volume.cache(4096).build().expect("a plain cache");
    let mut next = 0;
    group.throughput(Throughput::Elements(1024));
    group.bench_function("insert into a full cache", |bencher| {
        insert(&cache, &mut next, 8192);
        bencher.iter(|| insert(&cache, &mut next, 1024));
    });

    let mut refs = volume.refs.clone();
    group.throughput(Throughput::Elements(COMMIT as u64));
    group.bench_function("commit", |bencher| {
        let mut supply = Rounds(0);
        bencher.iter(|| {
            let mut writer = cache.writer();
            for block_ref in &mut refs {
                drop(writer.dirty(block_ref, MAGIC, &mut supply).wait().expect("a frame and a block"));
            }
            writer.write().wait().expect("memory takes every write");
        });
    });

    for blocks in [2048, 32768] {
        let cache = volume.cache(blocks).build().expect("a plain cache");
        let mut next = 0;
        group.throughput(Throughput::Bytes(1 << 20));
        group.bench_function(BenchmarkId::new("shrink 1 MiB", blocks), |bencher| {
            bencher.iter_custom(|rounds| {
                let mut spent = Duration::ZERO;
                for _ in 0..rounds {
                    let missing = if next == 0 { blocks as u64 } else { 256 };
                    insert(&cache, &mut next, missing);
                    let begun = Instant::now();
                    let shrunk = cache.shrink(1 << 20);
                    spent += begun.elapsed();
                    assert!(shrunk.freed_bytes > 0, "{shrunk:?}");
                }
                spent
            });
        });
    }
    group.finish();
}

criterion_group!(benches, churn);
criterion_main!(benches);
