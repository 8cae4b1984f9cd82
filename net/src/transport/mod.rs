//! Connections that carry frames: over Unix sockets and TCP, plain or with TLS, for an event loop.
//!
//! A [`Listener`] takes connections in, [`Link::connect`] makes one, and from then on both ends have a [`Link`]: bytes of
//! frames are queued and flushed on one side, read and taken frame by frame on the other. A link proves who is at its other
//! end ([`Link::principal`]); that is all that a server goes by.
//!
//! No call on a link waits: each does what goes at once. When it is worth calling again is told by a poll of the `mio`
//! crate, for those with many links, or by a [`Bell`], for a thread with one; either may [spin](Spin) for a short while before
//! it sleeps. Nothing here limits time: whoever drives a link gives it up when it takes longer to open, or is silent for
//! longer, than the [`TimeoutPlan`](crate::TimeoutPlan) allows, and bounds how many links there are before they greet.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use mio::{Events, Poll, Token};
//! use tidelock_net::transport::{Heard, Link};
//! use tidelock_net::{FRAME_BYTES_MAX, Frame};
//!
//! let (mut ours, mut theirs) = Link::pair()?;
//! ours.queue_frame(&Frame::Ping(7));
//! ours.flush()?;
//!
//! let mut poll = Poll::new()?;
//! theirs.register(poll.registry(), Token(0))?;
//! let mut events = Events::with_capacity(8);
//! poll.poll(&mut events, None)?;
//! for event in &events {
//!     theirs.ready(event);
//!     theirs.flush()?;
//!     loop {
//!         let heard = theirs.read()?;
//!         while let Some(bytes) = theirs.next_frame(FRAME_BYTES_MAX)? {
//!             assert_eq!(Frame::decode(bytes), Ok(Frame::Ping(7)));
//!         }
//!         // Whoever has other links to serve comes back to this one later, and asks for no event.
//!         if heard == Heard::All {
//!             break;
//!         }
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod address;
mod bell;
mod inbox;
mod link;
mod link_error;
mod listen_error;
mod listener;
mod outbox;
mod socket;
mod socket_file;
mod spin;
mod tls;

pub use address::{Address, AddressError};
pub use bell::{Bell, Gate, Watch};
pub use link::{ConnectOptions, Flushed, Heard, Link};
pub use link_error::LinkError;
pub use listen_error::{AcceptError, ListenError};
pub use listener::{Exposure, ListenOptions, Listener};
pub use spin::Spin;
pub use tls::{ClientTls, ServerTls, TlsError, TlsFiles};

#[cfg(test)]
mod tests;
