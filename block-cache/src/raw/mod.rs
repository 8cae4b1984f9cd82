//! The dangerous half: atomics, raw memory, and the invariants that the rest stands on.
//!
//! | file | noun | invariants |
//! |---|---|---|
//! | `state` | the state word of a frame | B4, B5 |
//! | `frame`, `identity` | frames: a header and an image each; is it the one that is wanted? | F1 to F4 |
//! | `arena`, `region`, `mapping`, `pages` | the memory behind them | |
//! | `epoch`, `pin` | guards, grace periods, pins in slots | E1 to E3 |
//! | `table`, `tags`, `index` | which frame holds which block | T1 to T7 |
//! | `policy`, `ghost`, `cells` | which block to give up | V1, V2 |
//! | `evict` | the hands, and what they do to frames they meet | |
//! | `pool`, `limbo` | frames that hold no block | M1 to M3 |
//! | `orphans` | the last pins, and a cache whose last handle is gone | B8 |
//! | `batch` | many lookups side by side | |
//! | `core` | all of these together: find, claim, replace, evict | B1 to B7 |

mod arena;
pub(crate) mod batch;
mod cells;
pub(crate) mod core;
pub(crate) mod epoch;
pub(crate) mod evict;
pub(crate) mod frame;
mod ghost;
mod identity;
pub(crate) mod index;
mod limbo;
pub(crate) mod map;
#[cfg(not(any(tidelock_loom, tidelock_shuttle)))]
mod mapping;
pub(crate) mod orphans;
pub(crate) mod pages;
pub(crate) mod pin;
pub(crate) mod policy;
pub(crate) mod pool;
mod prefetch;
mod region;
pub(crate) mod state;
pub(crate) mod table;
mod tags;

use tidelock_sync::atomic::Ordering;
use tidelock_sync::{Mutex, MutexGuard};

/// Bytes that go with each frame besides the index: its header, the policy's two bits, and seven fourths of a ghost cell.
pub(crate) const FRAME_OVERHEAD_BYTES: u64 = 64 + 1 + 7;

/// `strong`, or `Relaxed` in a build that is to show that the models notice (docs/ordering.md).
#[inline(always)]
const fn unless(weakened: bool, strong: Ordering) -> Ordering {
    if weakened { Ordering::Relaxed } else { strong }
}

/// Locks, whatever happened to the last holder: every mutex in here guards plain lists that are whole between any two
/// statements.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
