//! What is traced, and what is not.
#![cfg(not(any(tidelock_loom, tidelock_shuttle)))]

use std::cell::RefCell;
use std::fmt;
use std::sync::{Arc, Once};

use tidelock_block_cache::{BlockCache, BlockSupply, Builder, SupplyError};
use tidelock_dev::{AlignedBuffer, MemDevice};
use tidelock_format::{BlockHeader, BlockNo, BlockRef, BlockSize, Checksum, DeviceRange, Fsid, Magic, Seq};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

const SIZE: BlockSize = BlockSize::MIN;
const MAGIC: Magic = Magic(7);

thread_local! {
    /// What was traced on this thread: every span, event and late field, one line each.
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Writes it down. One for the whole process: which spans are of interest is remembered for all threads alike.
struct Scribe;

/// The fields of one line.
struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0 += &format!(" {field}={value:?}");
    }
}

/// Writes a line down; returns its number, from 1 on.
fn write(line: Fields) -> u64 {
    LINES.with_borrow_mut(|lines| {
        lines.push(line.0);
        lines.len() as u64
    })
}

/// What was traced while `work` ran.
fn during(work: impl FnOnce()) -> Vec<String> {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| tracing::subscriber::set_global_default(Scribe).unwrap());
    LINES.take();
    work();
    LINES.take()
}

impl Subscriber for Scribe {
    /// The cache's own: its device may trace too.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("tidelock_block_cache")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut line = Fields(span.metadata().name().to_owned());
        span.record(&mut line);
        Id::from_u64(write(line))
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let mut line = Fields(format!("{}:", span.into_u64()));
        values.record(&mut line);
        write(line);
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Fields("event".to_owned());
        event.record(&mut line);
        write(line);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

fn device() -> Arc<MemDevice> {
    Arc::new(MemDevice::new(1024 * SIZE.bytes() as u64))
}

fn builder(device: Arc<MemDevice>, frames: u64) -> Builder {
    BlockCache::builder(device).block_size(SIZE).capacity(frames * SIZE.bytes() as u64).expected_blocks(256)
}

/// Puts block `blkno`, image `seq`, on the medium.
fn put_block(device: &MemDevice, blkno: u64, seq: u64) -> BlockRef {
    let block = BlockRef::new(BlockNo(blkno), Seq(seq));
    let mut image = AlignedBuffer::zeroed(SIZE.bytes(), SIZE.bytes());
    BlockHeader { crc: Checksum(0), magic: MAGIC, fsid: Fsid(0), seq: block.seq, blkno: block.blkno }
        .write(&mut image);
    BlockHeader::seal(&mut image);
    let range = DeviceRange::of_block(block.blkno, SIZE).unwrap();
    tidelock_dev::io::write(device, range, image).wait().unwrap();
    block
}

/// Hands out one block.
struct One(BlockNo);

impl BlockSupply for One {
    fn replace(&mut self, _: Option<BlockNo>) -> Result<BlockNo, SupplyError> {
        Ok(self.0)
    }
}

#[test]
fn a_miss_is_traced_with_its_outcome_and_a_hit_is_not() {
    let device = device();
    let block = put_block(&device, 7, 1);
    let cache = builder(device, 64).build().unwrap();
    let miss = during(|| drop(cache.read_ref(block, MAGIC).wait().unwrap()));
    assert_eq!(miss, [format!("miss cache=cache wanted={block}"), "1: outcome=\"found\"".into()]);
    let hit = during(|| {
        drop(cache.read_ref(block, MAGIC).wait().unwrap());
        drop(cache.get(block, MAGIC));
        assert!(cache.guard().peek(block, MAGIC).is_some());
        drop(cache.read_many(&[block, block], MAGIC).wait());
    });
    assert_eq!(hit, Vec::<String>::new());
}

#[test]
fn a_read_that_fails_says_why() {
    let device = device();
    put_block(&device, 7, 2);
    let cache = builder(device, 64).build().unwrap();
    let older = BlockRef::new(BlockNo(7), Seq(1));
    let lines = during(|| assert!(cache.read_ref(older, MAGIC).wait().is_err()));
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[1].contains("outcome=reference") && lines[1].contains("is stale"), "{lines:?}");
}

#[test]
fn writing_shrinking_and_closing_are_traced() {
    let cache = builder(device(), 64).build().unwrap();
    let mut writer = cache.writer();
    let mut block = BlockRef::NULL;
    drop(writer.dirty(&mut block, MAGIC, &mut One(BlockNo(10))).wait().unwrap());
    let written = during(|| assert!(writer.write().wait().is_ok()));
    assert_eq!(written, ["write cache=cache blocks=1 bytes=4096", "1: failed=0"]);
    let shrunk = during(|| assert!(cache.shrink(4096).scanned > 0));
    assert_eq!(shrunk[0], "shrink cache=cache bytes=4096");
    assert!(shrunk[1].starts_with("1: freed_bytes=") && shrunk[2].starts_with("1: scanned="), "{shrunk:?}");
    let held = cache.read_ref(block, MAGIC).wait().unwrap();
    let closed = during(|| assert_eq!(cache.clone().close().leaks.len(), 1));
    assert_eq!(closed[..2], ["close cache=cache", "1: leaks=1"]);
    assert!(closed[2].starts_with("event message=block"), "{closed:?}");
    drop(held);
}

#[test]
fn growth_of_the_index_is_told_once() {
    let device = device();
    let blocks: Vec<_> = (1..=512).map(|blkno| put_block(&device, blkno, 1)).collect();
    let cache = builder(device, 1024).expected_blocks(1).build().unwrap();
    let lines = during(|| {
        blocks.iter().for_each(|block| drop(cache.read_ref(*block, MAGIC).wait().unwrap()));
    });
    let told = lines.iter().filter(|line| line.contains("the index grew")).count();
    assert!(told > 0 && told as u64 <= cache.stats().growths, "{told} of {}", cache.stats().growths);
}
