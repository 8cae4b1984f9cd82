//! What does a hit cost: pinned, guarded, batched, and cloning what is held?
//!
//! The blocks are read in a fixed random order; `hot` is one block again and again.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tidelock_benches::rng::Rng;
use tidelock_benches::volume::{MAGIC, Volume};
use tidelock_format::{BlockRef, BlockSize};

const BLOCKS: u64 = 8192;

fn hits(criterion: &mut Criterion) {
    let volume = Volume::format(BLOCKS, BlockSize::MIN);
    let cache = volume.cache(2 * BLOCKS as usize).build().expect("a plain cache");
    for wanted in &volume.refs {
        cache.read_ref(*wanted, MAGIC).wait().expect("a formatted block");
    }
    let mut rng = Rng::new(1, 0);
    let uniform: Vec<BlockRef> =
        (0..BLOCKS).map(|_| volume.refs[rng.below(BLOCKS as u32) as usize]).collect();

    for (keys, refs) in [("uniform", uniform), ("hot", vec![volume.refs[0]; BLOCKS as usize])] {
        let mut group = criterion.benchmark_group(format!("block_cache_hit/{keys}"));
        group.throughput(Throughput::Elements(BLOCKS));
        group.bench_function("read_ref", |bencher| {
            bencher.iter(|| {
                for wanted in &refs {
                    black_box(cache.read_ref(*wanted, MAGIC).wait().expect("cached"));
                }
            });
        });
        group.bench_function("read_ref hand over hand", |bencher| {
            bencher.iter(|| {
                let mut parent = None;
                for wanted in &refs {
                    parent = Some(black_box(cache.read_ref(*wanted, MAGIC).wait().expect("cached")));
                }
                parent
            });
        });
        group.bench_function("guard and peek", |bencher| {
            bencher.iter(|| {
                for wanted in &refs {
                    black_box(cache.guard().peek(*wanted, MAGIC).expect("cached").len());
                }
            });
        });
        group.bench_function("guard and peek 8", |bencher| {
            bencher.iter(|| {
                for descent in refs.chunks(8) {
                    let guard = cache.guard();
                    for wanted in descent {
                        black_box(guard.peek(*wanted, MAGIC).expect("cached"));
                    }
                }
            });
        });
        group.bench_function("peek_many 16", |bencher| {
            bencher.iter(|| {
                for batch in refs.chunks(16) {
                    cache.guard().peek_many(batch, MAGIC, |_, image| {
                        black_box(image.expect("cached"));
                    });
                }
            });
        });
        group.bench_function("clone", |bencher| {
            let held = cache.read_ref(refs[0], MAGIC).wait().expect("cached");
            bencher.iter(|| refs.iter().for_each(|_| drop(black_box(held.clone()))));
        });
        group.finish();
    }
}

criterion_group!(benches, hits);
criterion_main!(benches);
