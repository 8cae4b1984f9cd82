//! Who gives memory back, and what that came to.

/// Something that can give memory back.
pub trait Shrinker: Send + Sync {
    /// For reports.
    fn name(&self) -> &str;

    /// Bytes it has in circulation.
    fn used_bytes(&self) -> u64;

    /// Gives up to `bytes` back. Bounded work: it returns with less rather than search for long, never waits for I/O, and
    /// never calls into the embedder.
    fn shrink(&self, bytes: u64) -> Shrunk;
}

/// What shrinking came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shrunk {
    /// Bytes given back.
    pub freed_bytes: u64,
    /// Frames looked at.
    pub scanned: u64,
    /// Blocks that were in use lately and stay.
    pub rotated: u64,
    /// Frames that could not be had: pinned, dirty, under I/O.
    pub pinned: u64,
}

impl std::ops::AddAssign for Shrunk {
    fn add_assign(&mut self, more: Self) {
        self.freed_bytes += more.freed_bytes;
        self.scanned += more.scanned;
        self.rotated += more.rotated;
        self.pinned += more.pinned;
    }
}
