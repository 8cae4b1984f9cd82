//! The corruption matrix: every class of wrong bytes, on every path that reads a block.
//!
//! Whatever is wrong, the answer is `Stale` after reading exactly once more, nothing wrong is ever taken for good, and
//! when the medium is mended the next reader gets its block (S-30, B6, P4).

use std::sync::Arc;

use tidelock_dev::{AlignedBuffer, BlockDevice, Effect, Faulty, Operation, Rule, blocking};
use tidelock_format::{BlockHeader, BlockNo, BlockRef, BlockSize, DeviceRange, Fsid, Magic, Seq};

use super::rig::{self, Counting, MAGIC};
use crate::{BlockCache, CacheError, DirtyError, with_snapshot};

const WANTED: BlockRef = BlockRef::new(BlockNo(7), Seq(0x1122_3344_5566_7788));
const INTACT: BlockRef = BlockRef::new(BlockNo(9), Seq(9));
/// An older image of the same block, for writes that were torn.
const OLDER: BlockRef = BlockRef::new(BlockNo(7), Seq(1));

/// Wrong bytes with a name.
struct Wrong {
    what: String,
    image: AlignedBuffer,
    /// The bytes are a sound image of this block, only not the one that is meant: it may stay cached for who means it.
    is_sound: bool,
}

/// Everything that can be wrong with a block of `size`.
fn matrix(size: BlockSize) -> Vec<Wrong> {
    flipped(size).chain(forged(size)).chain(overwritten(size)).collect()
}

/// A bit at both ends of every field of the header, and at both ends and in the middle of every page.
fn flipped(size: BlockSize) -> impl Iterator<Item = Wrong> {
    let fields = [("crc", 0..4), ("magic", 4..8), ("fsid", 8..16), ("seq", 16..24), ("blkno", 24..32)];
    let ends = fields.into_iter().flat_map(|(name, field)| {
        [field.start, field.end - 1].map(|byte| (format!("{name}, byte {byte}"), byte))
    });
    let pages = (0..size.bytes()).step_by(4096).flat_map(|page| {
        [page.max(32), page + 2048, page + 4095].map(|byte| (format!("payload, byte {byte}"), byte))
    });
    ends.chain(pages).enumerate().map(move |(n, (what, byte))| {
        let mut image = rig::image_of(size, WANTED, 7);
        image[byte] ^= 1 << (n % 8);
        Wrong { what, image, is_sound: false }
    })
}

/// Images whose checksum is right.
fn forged(size: BlockSize) -> impl Iterator<Item = Wrong> {
    type Forge = fn(&mut BlockHeader);
    let forgeries: [(&str, Forge, bool); 4] = [
        ("another volume", |header| header.fsid = Fsid(1), false),
        ("a misplaced block", |header| header.blkno = BlockNo(8), false),
        ("another kind", |header| header.magic = Magic(1), true),
        ("another image", |header| header.seq = Seq(1), true),
    ];
    forgeries.into_iter().map(move |(what, forge, is_sound)| {
        let mut image = rig::image_of(size, WANTED, 7);
        let mut header = BlockHeader::read(&image);
        forge(&mut header);
        header.write(&mut image);
        BlockHeader::seal(&mut image);
        Wrong { what: what.into(), image, is_sound }
    })
}

/// Bytes of something else, in whole or in part.
fn overwritten(size: BlockSize) -> impl Iterator<Item = Wrong> {
    let half = size.bytes() / 2;
    let (new, old) = (move || rig::image_of(size, WANTED, 7), move || rig::image_of(size, OLDER, 3));
    type Change = Box<dyn Fn(&mut [u8])>;
    let changes: [(&str, Change); 4] = [
        ("never written", Box::new(|image| image.fill(0))),
        ("erased to ones", Box::new(|image| image.fill(0xff))),
        ("torn: the first half is new", Box::new(move |image| image[half..].copy_from_slice(&old()[half..]))),
        (
            "torn: the second half is new",
            Box::new(move |image| image[..half].copy_from_slice(&old()[..half])),
        ),
    ];
    changes.into_iter().map(move |(what, change)| {
        let mut image = new();
        change(&mut image);
        Wrong { what: what.into(), image, is_sound: false }
    })
}

/// A device whose block is wrong, beside an intact one, and a cache over it.
struct Case {
    device: Arc<Faulty>,
    cache: BlockCache,
    size: BlockSize,
}

impl Case {
    fn new(size: BlockSize, wrong: &Wrong) -> Self {
        let device = rig::faulty();
        let cache = rig::builder(device.clone(), 64)
            .block_size(size)
            .capacity(64 * size.bytes() as u64)
            .capacity_max(64 * size.bytes() as u64)
            .build()
            .unwrap();
        let case = Self { device, cache, size };
        let mut image = AlignedBuffer::zeroed(size.bytes(), 4096);
        image.copy_from_slice(&wrong.image);
        case.put(WANTED.blkno, image);
        case.put(INTACT.blkno, rig::image_of(size, INTACT, 9));
        case
    }

    fn put(&self, at: BlockNo, image: AlignedBuffer) {
        blocking::write(&*self.device, DeviceRange::of_block(at, self.size).unwrap(), image).unwrap();
    }

    /// What holds after any path has failed `answers` readers, having also read `others` intact blocks.
    fn check(self, wrong: &Wrong, answers: u64, others: u64) {
        let what = &wrong.what;
        let events = self.cache.stats().events;
        assert_eq!(events.device_reads, 2 + others, "{what}: the device is asked once more, and no more");
        assert_eq!(events.stale_after_reread, answers, "{what}");
        assert_eq!(events.damaged_images > 0, !wrong.is_sound, "{what}");
        assert!(self.cache.get(WANTED, MAGIC).is_none(), "{what}: taken for good");
        assert!(self.cache.guard().peek(WANTED, MAGIC).is_none(), "{what}: taken for good");
        self.put(WANTED.blkno, rig::image_of(self.size, WANTED, 7));
        let healed = self.cache.read_ref(WANTED, MAGIC).wait();
        assert!(rig::is_filled(&healed.expect(what), 7), "{what}: mended");
        rig::close_clean(self.cache);
    }
}

/// Runs `path` against everything that can be wrong with the smallest, the usual and the largest block. `path` tells how
/// many readers got `Stale` and how many intact blocks it read.
fn against_the_matrix(path: impl Fn(&Case, &str) -> (u64, u64)) {
    for size in [BlockSize::MIN, BlockSize::DEFAULT, BlockSize::MAX] {
        for wrong in matrix(size) {
            let case = Case::new(size, &wrong);
            let (answers, others) = path(&case, &wrong.what);
            case.check(&wrong, answers, others);
        }
    }
}

#[test]
fn a_cold_read_of_wrong_bytes_is_stale() {
    against_the_matrix(|case, what| {
        let error = case.cache.read_ref(WANTED, MAGIC).wait().expect_err(what);
        assert!(matches!(error, CacheError::Stale { wanted: WANTED, .. }), "{what}: {error}");
        (1, 0)
    });
}

#[test]
fn a_joined_read_of_wrong_bytes_is_stale_for_all_who_joined() {
    against_the_matrix(|case, what| {
        case.device.add(Rule::new("hold", Effect::Hold).on(Operation::Read));
        let mut reads = vec![case.cache.read_ref(WANTED, MAGIC), case.cache.read_ref(WANTED, MAGIC)];
        // Once for the first look, once for the second.
        for _ in 0..2 {
            reads = reads.into_iter().map(|read| read.try_now().expect_err(what)).collect();
            assert_eq!(case.device.release(), 1, "{what}: one read for both");
        }
        for read in reads {
            assert!(read.wait().expect_err(what).is_stale(), "{what}");
        }
        case.device.clear();
        (2, 0)
    });
}

#[test]
fn reading_many_finds_the_wrong_one_among_the_intact() {
    against_the_matrix(|case, what| {
        let found = case.cache.read_many(&[INTACT, WANTED], MAGIC).wait();
        assert!(rig::is_filled(found[0].as_ref().expect(what), 9), "{what}");
        assert!(found[1].as_ref().expect_err(what).is_stale(), "{what}");
        (1, 1)
    });
}

#[test]
fn wrong_bytes_that_were_prefetched_are_stale_when_they_are_read() {
    against_the_matrix(|case, what| {
        assert_eq!(case.cache.prefetch(&[WANTED]), 1);
        assert!(case.cache.get(WANTED, MAGIC).is_none(), "{what}: nobody has verified it");
        assert!(case.cache.read_ref(WANTED, MAGIC).wait().expect_err(what).is_stale(), "{what}");
        (1, 0)
    });
}

/// O-02: nothing is taken for a new image whose old one is wrong.
#[test]
fn dirtying_a_wrong_block_is_stale_and_changes_nothing() {
    against_the_matrix(|case, what| {
        let writer = case.cache.writer();
        let (mut block, mut supply) = (WANTED, Counting::from(20));
        let error = writer.dirty(&mut block, MAGIC, &mut supply).wait().expect_err(what);
        assert!(matches!(error, DirtyError::Cache(CacheError::Stale { .. })), "{what}: {error}");
        assert_eq!((block, supply, writer.len()), (WANTED, Counting::from(20), 0), "{what}");
        (1, 0)
    });
}

/// P3, L-12: with no newer roots to be had, wrong bytes are damage.
#[test]
fn wrong_bytes_under_the_same_roots_are_corrupt() {
    for wrong in matrix(BlockSize::MIN) {
        let case = Case::new(BlockSize::MIN, &wrong);
        let read: Result<(), CacheError> = with_snapshot(
            || Ok(WANTED),
            |root: &BlockRef, (): &mut ()| case.cache.read_ref(*root, MAGIC).wait().map(drop),
        );
        assert!(matches!(read, Err(CacheError::Corrupt { wanted: WANTED, .. })), "{}: {read:?}", wrong.what);
    }
}

/// A bit that is wrong on the way and not on the medium costs one more read, and nobody else notices.
#[test]
fn a_bit_that_flipped_on_the_way_is_mended_by_reading_again() {
    let device = rig::faulty();
    let block = rig::put_block(&*device, 7, 1);
    for seed in 0..50 {
        let flipping = Arc::new(Faulty::new(device.clone(), seed));
        flipping.add(Rule::new("flip", Effect::FlipBit).on(Operation::Read).times(1));
        let cache = rig::builder(flipping.clone(), 64).build().unwrap();
        assert!(rig::is_filled(&cache.read_ref(block, MAGIC).wait().unwrap(), 7));
        let events = cache.stats().events;
        assert_eq!((flipping.fired("flip"), events.device_reads, events.damaged_images), (1, 2, 1));
        rig::close_clean(cache);
    }
}

/// B6: an image is verified once; a sound one that somebody else means stays for them.
#[test]
fn a_reader_who_means_another_image_leaves_the_sound_one_to_others() {
    let device = rig::device();
    let block = rig::put_block(&*device as &dyn BlockDevice, 7, 5);
    let cache = rig::builder(device, 64).build().unwrap();
    for stale in [(BlockRef::new(block.blkno, Seq(4)), MAGIC), (block, Magic(1))] {
        assert!(cache.read_ref(stale.0, stale.1).wait().unwrap_err().is_stale());
        assert!(cache.get(block, MAGIC).is_some(), "what was read again is sound, and stays");
    }
    rig::close_clean(cache);
}
