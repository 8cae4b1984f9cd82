//! What does a miss cost beyond the device: claim, submit, verify, evict; one at a time and batched?
//!
//! A cache 16 times smaller than the volume is read in order, so that every read misses. The device is memory: a copy.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tidelock_benches::volume::{MAGIC, Volume};
use tidelock_format::BlockSize;

const BLOCKS: u64 = 4096;

fn misses(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("block_cache_miss");
    for size in [BlockSize::MIN, BlockSize::DEFAULT] {
        let volume = Volume::format(BLOCKS, size);
        let cache = volume.cache(BLOCKS as usize / 16).build().expect("a plain cache");
        group.throughput(Throughput::Elements(BLOCKS));
        group.bench_function(BenchmarkId::new("read_ref", size), |bencher| {
            bencher.iter(|| {
                for wanted in &volume.refs {
                    black_box(cache.read_ref(*wanted, MAGIC).wait().expect("a formatted block"));
                }
            });
        });
        group.bench_function(BenchmarkId::new("read_many 32", size), |bencher| {
            bencher.iter(|| {
                for batch in volume.refs.chunks(32) {
                    black_box(cache.read_many(batch, MAGIC).wait());
                }
            });
        });
        let stats = cache.stats();
        assert!(stats.hit_ratio() < 0.5, "most of these were to be misses: {stats:?}");
    }
    group.finish();
}

criterion_group!(benches, misses);
criterion_main!(benches);
