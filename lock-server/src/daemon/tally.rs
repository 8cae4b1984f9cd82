//! What the driver itself saw: connections, and why some were not served.
//!
//! What a client does once it has greeted is counted by the machine ([`Counters`](crate::Counters)). Here are those who never
//! became one, each kind apart, so that a port scan is told from a client that hangs.

/// How many times what happened, since the daemon began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// Connections that were taken in.
    pub accepted: u64,
    /// Times that none could be taken in, for want of files or memory.
    pub accepts_exhausted: u64,
    /// Times that a listener failed in another way.
    pub accepts_failed: u64,

    /// Turned away: too many were still proving who they are.
    pub handshakes_refused: u64,
    /// Closed: they took too long to prove who they are.
    pub handshakes_late: u64,
    /// Closed: they could not prove who they are, or what they said was no handshake.
    pub handshakes_failed: u64,

    /// Gone without having been greeted, and without a complaint: a port scan, or a load balancer's probe.
    pub strangers_gone: u64,
    /// Closed: they said nothing for as long as a greeting may take.
    pub strangers_mute: u64,
    /// Closed: they said something, and no whole greeting for as long as one may take.
    pub strangers_slow: u64,

    /// Closed: what came in does not begin as a frame does, or is no sound one.
    pub frames_unsound: u64,
    /// Closed: a frame said that it is longer than one may be there.
    pub frames_oversized: u64,
    /// Closed: they did not read what was written to them.
    pub outboxes_full: u64,

    /// Reads of sockets, as far as they were for links that are open.
    pub reads: u64,
    /// Turns of the loop.
    pub turns: u64,
}
