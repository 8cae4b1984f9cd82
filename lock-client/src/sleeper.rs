//! One who sleeps where only a bell wakes it, and has something else to wait for as well.
//!
//! It says that it sleeps, looks for that once more, and sleeps. Whoever brings it looks afterwards whether anybody sleeps,
//! and rings. What is brought and looked for is behind a mutex: of the look and the bringing one is first, so either the look
//! finds it, or the bringer sees that somebody sleeps.

use tidelock_sync::atomic::{AtomicBool, Ordering};

/// Whether somebody sleeps.
#[derive(Debug)]
pub(crate) struct Sleeper(AtomicBool);

impl Sleeper {
    pub(crate) fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// Somebody sleeps, or is about to, as long as this lives. One at a time.
    pub(crate) fn nap(&self) -> Nap<'_> {
        // Relaxed: the mutex of what is looked for orders this before the load in `is_asleep`, if the look comes first.
        self.0.store(!cfg!(tidelock_weaken = "nap_unsaid"), Ordering::Relaxed);
        Nap(self)
    }

    /// Whether whoever has just brought something has to ring.
    pub(crate) fn is_asleep(&self) -> bool {
        // Relaxed: as in `nap`.
        self.0.load(Ordering::Relaxed)
    }
}

/// A sleep.
#[derive(Debug)]
pub(crate) struct Nap<'a>(&'a Sleeper);

impl Drop for Nap<'_> {
    fn drop(&mut self) {
        // Relaxed: a ring too many does no harm.
        self.0.0.store(false, Ordering::Relaxed);
    }
}
