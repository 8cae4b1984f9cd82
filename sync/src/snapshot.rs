//! Things that are read all the time and changed seldom: a reader gets an `Arc` of what held when it looked.
//!
//! Two of them, because no one cell is best at both ends (measured: eight readers in a loop kept `rcu_cell`'s writer
//! waiting for seconds, while `arc-swap` stayed under a tenth of one; with few readers `rcu_cell`'s writer is several
//! times cheaper):
//! - [`Snapshot`], on `arc-swap`, for what every operation reads;
//! - [`ColdSnapshot`], on `rcu_cell`, for what is read at human pace: tunables, sinks, end points.

#[cfg(not(any(tidelock_loom, tidelock_shuttle)))]
mod imp {
    use std::sync::Arc;

    /// Read by every operation, changed seldom. Loading is wait-free; storing may wait for loads under way.
    #[derive(Debug)]
    pub struct Snapshot<T>(arc_swap::ArcSwap<T>);

    impl<T> Snapshot<T> {
        /// A snapshot of `value`.
        pub fn new(value: T) -> Self {
            Self(arc_swap::ArcSwap::from_pointee(value))
        }

        /// What holds now.
        pub fn load(&self) -> Arc<T> {
            self.0.load_full()
        }

        /// From now on `value` holds; readers keep what they loaded.
        pub fn store(&self, value: T) {
            self.0.store(Arc::new(value));
        }
    }

    /// Read and changed at human pace.
    #[derive(Debug)]
    pub struct ColdSnapshot<T>(rcu_cell::RcuCell<T>);

    impl<T> ColdSnapshot<T> {
        /// A snapshot of `value`.
        pub fn new(value: T) -> Self {
            Self(rcu_cell::RcuCell::new(value))
        }

        /// What holds now.
        ///
        /// # Panics
        /// Never: the cell is never emptied.
        pub fn load(&self) -> Arc<T> {
            self.0.read().expect("a ColdSnapshot always holds a value")
        }

        /// From now on `value` holds; readers keep what they loaded.
        pub fn store(&self, value: T) {
            self.0.write(value);
        }
    }
}

#[cfg(any(tidelock_loom, tidelock_shuttle))]
mod imp {
    use crate::{Arc, Mutex};

    /// Under a model: an `Arc` behind a mutex, which has the same meaning and few states.
    #[derive(Debug)]
    pub struct Snapshot<T>(Mutex<Arc<T>>);

    /// The same cell twice: the models do not tell them apart.
    pub type ColdSnapshot<T> = Snapshot<T>;

    impl<T> Snapshot<T> {
        /// A snapshot of `value`.
        pub fn new(value: T) -> Self {
            Self(Mutex::new(Arc::new(value)))
        }

        /// What holds now.
        pub fn load(&self) -> Arc<T> {
            self.0.lock().expect("a model's mutex is never poisoned").clone()
        }

        /// From now on `value` holds; readers keep what they loaded.
        pub fn store(&self, value: T) {
            *self.0.lock().expect("a model's mutex is never poisoned") = Arc::new(value);
        }
    }
}

pub use imp::{ColdSnapshot, Snapshot};
