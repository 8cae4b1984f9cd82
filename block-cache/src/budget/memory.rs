//! A limit in bytes that several caches share.

use std::sync::{Arc, Mutex, MutexGuard, Weak};
use tidelock_sync::unmodelled::{AtomicU64, Ordering};

use super::{Shrinker, Shrunk};

/// A limit shared by caches. Cloning it shares it.
///
/// ```
/// use std::sync::Arc;
/// use tidelock_block_cache::{BlockCache, MemoryBudget};
/// use tidelock_dev::MemDevice;
///
/// let budget = MemoryBudget::fixed(8 << 20);
/// let build = |name| BlockCache::builder(Arc::new(MemDevice::new(1 << 30))).name(name).budget(&budget).build();
/// let (trees, data) = (build("trees")?, build("data")?);
/// assert!(budget.used() <= budget.limit());
///
/// // By hand: both caches are asked for their share of what is too much.
/// budget.set_limit(4 << 20);
/// # drop((trees, data));
/// # Ok::<(), tidelock_block_cache::BuildError>(())
/// ```
#[derive(Clone, Debug)]
pub struct MemoryBudget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limit: AtomicU64,
    used: AtomicU64,
    members: Mutex<Vec<Member>>,
}

struct Member {
    id: u64,
    shrinker: Weak<dyn Shrinker>,
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "member {}", self.id)
    }
}

/// Calls to each member when the limit was lowered: a call is bounded, so one may not be enough.
const ROUNDS: usize = 8;

impl MemoryBudget {
    /// A budget of `bytes`, until it is [set](Self::set_limit) to something else.
    pub fn fixed(bytes: u64) -> Self {
        let limit = AtomicU64::new(bytes);
        Self(Arc::new(Inner { limit, used: AtomicU64::new(0), members: Mutex::default() }))
    }

    /// Bytes that may be in circulation.
    pub fn limit(&self) -> u64 {
        // Relaxed: a number to steer by.
        self.0.limit.load(Ordering::Relaxed)
    }

    /// Bytes that are in circulation.
    pub fn used(&self) -> u64 {
        // Relaxed: a number to steer by.
        self.0.used.load(Ordering::Relaxed)
    }

    /// Changes the limit, and when too much is in circulation asks every cache for its share. Tells what they gave.
    pub fn set_limit(&self, bytes: u64) -> Shrunk {
        // Relaxed: a number to steer by.
        self.0.limit.store(bytes, Ordering::Relaxed);
        self.shrink_to(bytes)
    }

    /// Asks the caches to give back `bytes`, without changing the limit.
    pub fn shrink(&self, bytes: u64) -> Shrunk {
        self.shrink_to(self.used().saturating_sub(bytes))
    }

    /// Asks the caches, each for its share, until no more than `bytes` are in circulation, or nobody gives any more.
    fn shrink_to(&self, bytes: u64) -> Shrunk {
        let mut total = Shrunk::default();
        for _ in 0..ROUNDS {
            let used = self.used();
            let excess = used.saturating_sub(bytes);
            if excess == 0 {
                break;
            }
            let mut round = Shrunk::default();
            for member in self.members() {
                let share = u128::from(excess) * u128::from(member.used_bytes()) / u128::from(used.max(1));
                round += member.shrink(share as u64 + 1);
            }
            total += round;
            if round.freed_bytes == 0 {
                break;
            }
        }
        total
    }

    fn list(&self) -> MutexGuard<'_, Vec<Member>> {
        self.0.members.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The members, outside of the mutex: shrinking is theirs, and may charge this budget.
    fn members(&self) -> Vec<Arc<dyn Shrinker>> {
        self.list().iter().filter_map(|member| member.shrinker.upgrade()).collect()
    }

    /// Adds something that gives memory back when asked. It charges nothing by itself.
    pub fn register(&self, shrinker: Weak<dyn Shrinker>) -> u64 {
        let mut members = self.list();
        let id = members.last().map_or(1, |member| member.id + 1);
        members.push(Member { id, shrinker });
        id
    }

    pub(super) fn deregister(&self, id: u64) {
        self.list().retain(|member| member.id != id);
    }

    /// Takes up to `bytes` in whole `units`; returns how much.
    pub(super) fn take(&self, bytes: u64, unit: u64) -> u64 {
        let mut taken = 0;
        // Relaxed: the number itself is all that is shared.
        let changed = self.0.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            let room = self.limit().saturating_sub(used) / unit * unit;
            taken = bytes.min(room);
            (taken > 0).then(|| used + taken)
        });
        if changed.is_ok() { taken } else { 0 }
    }

    pub(super) fn give_back(&self, bytes: u64) {
        // Relaxed: as above.
        self.0.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Somebody who uses `used` bytes got nothing. Asks the largest member for `bytes`, if the other has less than its
    /// fair share.
    pub(super) fn make_room(&self, used: u64, bytes: u64) -> bool {
        let members = self.members();
        let fair = self.limit() / (members.len() as u64).max(1);
        if used + bytes > fair {
            return false;
        }
        let largest = members.iter().max_by_key(|member| member.used_bytes());
        largest.is_some_and(|largest| largest.used_bytes() > fair && largest.shrink(bytes).freed_bytes > 0)
    }
}
