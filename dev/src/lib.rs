//! Block devices.
//!
//! A [`BlockDevice`] takes batches of [`Request`]s and tells each request's [`Completer`] exactly once how it ended. It
//! owns the buffer from submit to completion, so nobody who stops waiting can free memory that a device still writes.
//!
//! The device has no thread of its own as long as a thread waits: a waiting thread *drives* it
//! ([`BlockDevice::drive`]) and so completes its own request. Handing a completion to another thread would cost more
//! than most reads take.
//!
//! Files and block devices are opened by [`OpenOptions`], through io_uring or by threads; [`MemDevice`] is one in memory.
//! [`blocking`] and [`io`] make single transfers simple. Decorators stand in front of any device: [`Counted`] measures,
//! [`Torn`] loses its power, [`Faulty`] fails on purpose.
#![deny(unsafe_op_in_unsafe_fn)]

pub mod blocking;
mod buffer;
mod counted;
mod device;
mod driver;
mod error;
mod faulty;
mod gate;
mod hook;
pub mod io;
mod mem;
mod random;
mod request;
mod torn;

#[cfg(not(any(tidelock_loom, tidelock_shuttle)))]
mod file;
#[cfg(not(any(tidelock_loom, tidelock_shuttle)))]
mod open;
#[cfg(not(any(tidelock_loom, tidelock_shuttle)))]
mod open_error;
#[cfg(not(any(tidelock_loom, tidelock_shuttle)))]
mod probe;
#[cfg(not(any(tidelock_loom, tidelock_shuttle)))]
mod threads;
#[cfg(not(any(tidelock_loom, tidelock_shuttle)))]
mod transfer;
#[cfg(all(target_os = "linux", not(any(tidelock_loom, tidelock_shuttle))))]
mod uring;

pub use buffer::AlignedBuffer;
pub use counted::{Counted, Counts, LATENCIES, Tally};
pub use device::{BlockDevice, Done};
pub use error::{DeviceError, Fault};
pub use faulty::{Effect, Faulty, Rule};
pub use hook::nudge;
pub use mem::MemDevice;
pub use request::{Buffer, Completer, Completion, Operation, RawBuffer, Request};
pub use torn::{Cut, Survivors, Torn};

#[cfg(not(any(tidelock_loom, tidelock_shuttle)))]
pub use open::{Backend, Direct, OpenOptions, Opened};
#[cfg(not(any(tidelock_loom, tidelock_shuttle)))]
pub use open_error::OpenError;
#[cfg(not(any(tidelock_loom, tidelock_shuttle)))]
pub use threads::ThreadsDevice;
#[cfg(all(target_os = "linux", not(any(tidelock_loom, tidelock_shuttle))))]
pub use uring::UringDevice;

#[cfg(test)]
mod tests;
