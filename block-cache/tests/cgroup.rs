//! A budget in a real memory cgroup: one with a limit is made below this process's own, a child is put into it, and its
//! cache has to make room for what the child allocates beside it. Where no cgroup may be made, the test says so and passes.
#![cfg(all(target_os = "linux", not(any(tidelock_loom, tidelock_shuttle))))]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use tidelock_block_cache::{
    BlockCache, BudgetRule, BudgetSource, BudgetWatch, CgroupSource, MemoryBudget, Reading,
};
use tidelock_dev::MemDevice;
use tidelock_format::{BlockNo, BlockRef, BlockSize, Magic, Seq};

const MIB: u64 = 1 << 20;
const LIMIT: u64 = 80 * MIB;
/// Set for the child.
const INSIDE: &str = "TIDELOCK_TEST_CGROUP";

/// A cgroup of our own, removed at the end.
struct Cgroup(PathBuf);

impl Cgroup {
    /// `Err` tells why there can be none.
    fn below_our_own() -> Result<Self, String> {
        let own = CgroupSource::own().map_err(|error| error.to_string())?;
        let own = own.folder().ok_or("this process is in the root cgroup")?;
        let folder = own.join(format!("tidelock-test-{}", std::process::id()));
        fs::create_dir(&folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
        let cgroup = Self(folder);
        let limits = ["memory.limit_in_bytes", "memory.max"].map(|name| cgroup.0.join(name));
        let limit = limits.iter().find(|path| path.exists()).ok_or("it has no memory controller")?;
        fs::write(limit, LIMIT.to_string()).map_err(|error| format!("cannot set its limit: {error}"))?;
        Ok(cgroup)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir(&self.0) {
            eprintln!("cannot remove {}: {error}", self.0.display());
        }
    }
}

#[test]
fn a_cache_makes_room_for_the_rest_of_its_cgroup() {
    if let Some(folder) = std::env::var_os(INSIDE) {
        return inside(Path::new(&folder));
    }
    let cgroup = match Cgroup::below_our_own() {
        Ok(cgroup) => cgroup,
        Err(why) => return eprintln!("skipped: {why}"),
    };
    let name = "a_cache_makes_room_for_the_rest_of_its_cgroup";
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE, &cgroup.0)
        .output()
        .unwrap();
    let said =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("made room"), "{said}");
}

/// What the child does.
fn inside(folder: &Path) {
    fs::write(folder.join("cgroup.procs"), std::process::id().to_string()).unwrap();
    let mut source = CgroupSource::own().unwrap();
    assert_eq!(source.folder(), Some(folder));
    let mut reading = Reading::default();
    source.read(&mut reading).unwrap();
    assert_eq!(reading.room.unwrap().limit_bytes, LIMIT);

    for size in [BlockSize::MIN, BlockSize::DEFAULT] {
        make_room(source.clone(), folder, size);
    }
}

/// A cache of blocks of `size` beside a neighbour who needs memory.
fn make_room(source: CgroupSource, folder: &Path, size: BlockSize) {
    let budget = MemoryBudget::fixed(40 * MIB);
    let cache = full_cache(&budget, size);
    let mut watch = BudgetWatch::new(&budget, BudgetRule::between(4 * MIB, 40 * MIB)).source(source);
    assert_eq!(watch.poll_once().limit_bytes, 40 * MIB, "there is room enough");

    // Leaves 46 MiB to the cache, of which it may have 80 %.
    let neighbour = std::hint::black_box(vec![1u8; 34 * MIB as usize]);
    let (before, used_before) = (budget.used(), used_in(folder));
    let adjustment = watch.poll_once();
    assert!(adjustment.errors.is_empty(), "{adjustment:?}");
    assert!(adjustment.limit_bytes < 40 * MIB && budget.used() < before, "{adjustment:?}");
    assert!(cache.stats().used_bytes <= adjustment.limit_bytes);
    // What was given back is memory that others can have, at once and also out of huge pages.
    let (freed, fell) = (before - budget.used(), used_before.saturating_sub(used_in(folder)));
    assert!(fell >= freed / 2, "{size}: {freed} bytes were freed, and the cgroup uses {fell} less");
    println!("made room: {before} -> {} bytes beside {}", budget.used(), neighbour.len());
}

fn used_in(folder: &Path) -> u64 {
    let files = ["memory.usage_in_bytes", "memory.current"].map(|name| folder.join(name));
    let text =
        files.iter().find_map(|file| fs::read_to_string(file).ok()).expect("every cgroup tells its usage");
    text.trim().parse().expect("a number of bytes")
}

fn full_cache(budget: &MemoryBudget, size: BlockSize) -> BlockCache {
    let device = Arc::new(MemDevice::new(128 * MIB));
    let builder = BlockCache::builder(device).block_size(size).capacity(40 * MIB).budget(budget);
    let cache = builder.build().unwrap();
    for blkno in 1..=40 * MIB / size.bytes() as u64 {
        let block = BlockRef::new(BlockNo(blkno), Seq(1));
        cache.insert(block, Magic(1), |image| image.fill(1)).unwrap();
        // Every other one is in use, so that what is evicted lies scattered.
        for _ in 0..4 * (blkno % 2) {
            cache.get(block, Magic(1)).unwrap();
        }
    }
    cache
}
