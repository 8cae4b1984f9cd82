//! The whole cache against a reference: what each place's image must be. Readers, a writer that changes what they read, a
//! shrinker and a resizer, on a cache of a dozen blocks (B1 to B5, S-27, S-28).

use tidelock_format::{BlockNo, BlockRef};
use tidelock_sync::{Arc, Mutex, model, thread};

use super::rig::{self, Counting, MAGIC, SIZE};
use crate::{Block, BlockCache, CacheError, FaultPoint};

const PLACES: usize = 6;
const FRAMES: usize = 12;

/// The cache, and what its places hold.
struct Volume {
    cache: BlockCache,
    roots: Mutex<Vec<BlockRef>>,
    /// Whether the device may fail, and blocks be called stale, for no reason.
    has_faults: bool,
}

impl Volume {
    fn reference(&self, place: usize) -> BlockRef {
        self.roots.lock().unwrap()[place]
    }

    fn read(&self, place: usize) -> Option<Block> {
        let wanted = self.reference(place);
        match self.cache.read_ref(wanted, MAGIC).wait() {
            Ok(block) => {
                check(&block, wanted);
                Some(block)
            }
            Err(CacheError::Stale { .. } | CacheError::Dirty { .. }) => {
                assert!(wanted != self.reference(place), "P3: a durable root leads nowhere");
                None
            }
            Err(CacheError::NoFrame { .. }) => None,
            Err(CacheError::Device(_)) if self.has_faults => None,
            Err(error) => panic!("{wanted}: {error}"),
        }
    }
}

/// The payload tells which image it is.
fn check(image: &[u8], wanted: BlockRef) {
    assert_eq!(image[64..80], payload(wanted), "{wanted}: the bytes of another image");
}

fn payload(image: BlockRef) -> [u8; 16] {
    (u128::from(image.blkno.0) << 64 | u128::from(image.seq.0)).to_le_bytes()
}

/// Dirties `places`, writes them, and then publishes their references.
fn commit(volume: &Volume, supply: &mut Counting, places: &[usize]) {
    let mut writer = volume.cache.writer();
    let mut changed = Vec::new();
    for place in places {
        let mut block = volume.reference(*place);
        let Ok(mut dirty) = writer.dirty(&mut block, MAGIC, supply).wait() else { continue };
        let image = dirty.block_ref();
        dirty[64..80].copy_from_slice(&payload(image));
        drop(dirty);
        changed.push((*place, block));
    }
    // A write that failed left everything dirty: again.
    while writer.write().wait().is_err() {
        assert!(volume.has_faults, "the device takes writes");
    }
    let mut roots = volume.roots.lock().unwrap();
    changed.into_iter().for_each(|(place, block)| roots[place] = block);
}

fn volume(has_faults: bool) -> (Arc<Volume>, Counting) {
    let seqs = std::sync::atomic::AtomicU64::new(1);
    let next_seq = move || seqs.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let builder = rig::builder(rig::device(), FRAMES).expected_blocks(1).seq_source(next_seq);
    let cache = builder.build().unwrap();
    let roots = Mutex::new(vec![BlockRef::NULL; PLACES]);
    let volume = Volume { cache, roots, has_faults };
    let mut supply = Counting::from(1);
    commit(&volume, &mut supply, &(0..PLACES).collect::<Vec<_>>());
    (Arc::new(volume), supply)
}

fn readers(volume: &Arc<Volume>) -> Vec<thread::JoinHandle<()>> {
    let spawn = |first: usize| {
        let volume = volume.clone();
        thread::spawn(move || {
            let mut held = Vec::new();
            for step in 0..4 {
                held.extend(volume.read((first + step) % PLACES));
                let guard = volume.cache.guard();
                let wanted = volume.reference(step);
                guard.peek(wanted, MAGIC).into_iter().for_each(|image| check(image, wanted));
            }
            let clones = held.clone();
            drop(held);
            clones.iter().for_each(|block| check(block, block.block_ref()));
        })
    };
    vec![spawn(0), spawn(2), spawn(3)]
}

fn run(volume: Arc<Volume>, mut supply: Counting, mut others: Vec<thread::JoinHandle<()>>) {
    others.extend(readers(&volume));
    others.push(thread::spawn({
        let volume = volume.clone();
        move || {
            commit(&volume, &mut supply, &[0, 2]);
            commit(&volume, &mut supply, &[1, 2, 3]);
        }
    }));
    others.push(thread::spawn({
        let volume = volume.clone();
        move || {
            volume.cache.shrink(4 * SIZE.bytes() as u64);
            volume.cache.set_capacity((3 * SIZE.bytes()) as u64);
            volume.cache.shrink(SIZE.bytes() as u64);
            volume.cache.set_capacity((2 * FRAMES * SIZE.bytes()) as u64);
        }
    }));
    for thread in others {
        thread.join().unwrap();
    }
    assert!(volume.cache.outstanding().is_empty(), "{:?}", volume.cache.outstanding());
    for place in 0..PLACES {
        assert!(volume.read(place).is_some() || volume.has_faults, "what was committed can be read");
    }
    assert!(volume.cache.clone().close().is_clean());
}

#[test]
fn shuttle_cache_gives_each_reader_the_image_it_asked_for() {
    model(|| {
        let (volume, supply) = volume(false);
        run(volume, supply, Vec::new());
    });
}

#[test]
fn shuttle_cache_survives_faults() {
    model(|| {
        let (volume, supply) = volume(true);
        let saboteur = thread::spawn({
            let volume = volume.clone();
            move || {
                let points = [
                    FaultPoint::RefuseSubmit,
                    FaultPoint::Stale(BlockNo(2)),
                    FaultPoint::NoFrame,
                    FaultPoint::RefuseSubmit,
                ];
                for point in points {
                    let fault = volume.cache.arm_fault(point, 0);
                    for _ in 0..8 {
                        thread::yield_now();
                    }
                    drop(fault);
                }
            }
        });
        run(volume, supply, vec![saboteur]);
    });
}
