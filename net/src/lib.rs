//! Sessions: what two processes that talk for long have to agree on, whatever carries their bytes and whatever they talk about.
//!
//! A session outlives its connections. [`Stream`] makes the messages of one session arrive in order and be processed exactly
//! once, however often the connection breaks; [`greet`] decides what becomes of a client that comes (again), and never
//! leaves it guessing; [`TimeoutPlan`] holds every time limit and refuses those that do not go together.
//!
//! [`Frame`] is what travels on a connection, and [`ClientSession`] is a client's side of it all. Who is at the other end of
//! a connection is its [`Principal`], and never what it says.
//!
//! All of that is state machines and data: no I/O, no clock, no thread, no knowledge of locks. What carries it over sockets is
//! `transport`, which is a feature that can be left out.
#![forbid(unsafe_code)]

mod client;
mod frame;
mod greeting;
mod principal;
mod stream;
mod timeouts;
#[cfg(feature = "transport")]
pub mod transport;

pub use client::{ClientConfig, ClientSession, Connection, Delivery, Effect, Lease, Standing};
pub use frame::{FRAME_BYTES_MAX, Frame, FrameError, HELLO_BYTES_MAX, VERSION, Verdict, Welcome, frame_len};
pub use greeting::{Hello, Known, Mismatch, Outcome, Service, greet};
pub use principal::Principal;
pub use stream::{Arrival, Number, Stream, StreamViolation, WindowFull};
pub use timeouts::{PlanError, TimeoutPlan};

#[cfg(test)]
mod tests;
