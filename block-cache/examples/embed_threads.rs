//! Plain threads: readers that follow a root, a writer that commits newer ones, and memory that is taken away meanwhile.
//!
//! The "file system" has one block, its root, which holds a counter. Each commit dirties it, which makes a new image at a
//! new location, writes that, flushes, and publishes the new reference. Two locations take turns, so a slow reader may find
//! that its root was overwritten: that is `Stale`, and `with_snapshot` asks for the newer root and starts again.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tidelock_block_cache::{BlockCache, BlockSupply, CacheError, MemoryBudget, SupplyError, with_snapshot};
use tidelock_dev::MemDevice;
use tidelock_format::{BlockNo, BlockRef, BlockSize, HEADER_BYTES, Magic};
use tidelock_sync::Snapshot;

const ROOT: Magic = Magic(0x524f_4f54);
const COMMITS: u64 = 2000;

/// Blocks 1 and 2 in turns. A real one owns the volume's free space, and frees a block only once a newer root is durable.
struct InTurns(u64);

impl BlockSupply for InTurns {
    fn replace(&mut self, _old: Option<BlockNo>) -> Result<BlockNo, SupplyError> {
        self.0 += 1;
        Ok(BlockNo(1 + self.0 % 2))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let device = Arc::new(MemDevice::new(1 << 20));
    let budget = MemoryBudget::fixed(1 << 20);
    let builder = BlockCache::builder(device).block_size(BlockSize::MIN);
    let cache = builder.capacity(512 << 10).budget(&budget).build()?;
    let root = Snapshot::new(commit(&cache, &mut InTurns(0), BlockRef::NULL, 0)?);
    let is_over = AtomicBool::new(false);

    let reads = thread::scope(|scope| -> Result<u64, Box<dyn Error>> {
        let readers = [0; 2].map(|_| scope.spawn(|| follow(&cache, &root, &is_over)));
        let mut supply = InTurns(1);
        for counter in 1..=COMMITS {
            let newer = commit(&cache, &mut supply, *root.load(), counter)?;
            root.store(newer);
            if counter % 100 == 0 {
                // Somebody else needs memory: blocks that nobody holds go.
                budget.shrink(64 << 10);
            }
        }
        // Release: pairs with the Acquire in follow(); the last commit was published before.
        is_over.store(true, Ordering::Release);
        readers
            .into_iter()
            .map(|reader| reader.join().map_err(|_| "a reader panicked")?.map_err(Into::into))
            .sum()
    })?;

    let events = cache.stats().events;
    println!("{COMMITS} commits, {reads} reads, none torn and none back in time");
    println!("{} blocks written, {} copies found stale", events.device_writes, events.stale_dropped);
    let report = cache.close();
    assert!(report.is_clean(), "{report:?}");
    Ok(())
}

/// One transaction: dirty, change, write, make durable. The new root is the caller's to publish.
fn commit(
    cache: &BlockCache,
    supply: &mut InTurns,
    mut root: BlockRef,
    counter: u64,
) -> Result<BlockRef, Box<dyn Error>> {
    let mut writer = cache.writer();
    {
        let mut block = writer.dirty(&mut root, ROOT, supply).wait()?;
        block[HEADER_BYTES..].fill(counter as u8);
        block[HEADER_BYTES..HEADER_BYTES + 8].copy_from_slice(&counter.to_le_bytes());
    }
    writer.write().wait()?;
    cache.flush().wait()?;
    Ok(root)
}

/// Reads the counter again and again; it never goes back, and the rest of the block always goes with it.
fn follow(cache: &BlockCache, root: &Snapshot<BlockRef>, is_over: &AtomicBool) -> Result<u64, CacheError> {
    let (mut reads, mut last) = (0, 0);
    // Acquire: pairs with the Release in main().
    while !is_over.load(Ordering::Acquire) {
        let counter = with_snapshot(
            || Ok::<_, CacheError>(*root.load()),
            |root, counter: &mut u64| {
                let block = cache.read_ref(*root, ROOT).wait()?;
                let (number, rest) = block[HEADER_BYTES..].split_at(8);
                *counter = u64::from_le_bytes(number.try_into().expect("eight bytes"));
                assert!(rest.iter().all(|byte| *byte == *counter as u8), "a torn block");
                Ok(())
            },
        )?;
        assert!(counter >= last, "back in time");
        (reads, last) = (reads + 1, counter);
    }
    Ok(reads)
}
