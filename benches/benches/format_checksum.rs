//! How fast are checksum and verification of a block, at each block size?

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tidelock_benches::volume::{MAGIC, image};
use tidelock_format::{BlockNo, BlockRef, BlockSize, Fsid, Seq, block_checksum, verify};

fn checksums(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("format_checksum");
    let block = BlockRef::new(BlockNo(7), Seq(11));
    for size in BlockSize::all() {
        let image = image(block, size);
        group.throughput(Throughput::Bytes(size.bytes() as u64));
        group.bench_with_input(BenchmarkId::new("checksum", size), &image, |bencher, image| {
            bencher.iter(|| block_checksum(black_box(image)));
        });
        group.bench_with_input(BenchmarkId::new("verify", size), &image, |bencher, image| {
            bencher.iter(|| verify(black_box(image), Fsid(0), block, MAGIC).expect("a sound block"));
        });
    }
    group.finish();
}

criterion_group!(benches, checksums);
criterion_main!(benches);
