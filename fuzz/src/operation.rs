//! What may be asked of a cache.

use arbitrary::Arbitrary;

/// Which image of a block is meant.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Which {
    /// The one on the medium.
    Current,
    /// One that was made earlier, or that a writer is making.
    Made(u8),
    /// None that ever was.
    Unknown,
}

/// A reference: the image `which` of the block chosen by `block`.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Pick {
    /// Taken modulo the number of blocks.
    pub block: u8,
    /// Which image.
    pub which: Which,
}

/// One of the two writers.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Who {
    /// The first.
    First,
    /// The second.
    Second,
}

/// One call.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Operation {
    /// Read by reference, and hold on to the block.
    Read(Pick, bool),
    /// Get if cached.
    Get(Pick),
    /// Peek under a guard.
    Peek(Pick),
    /// Read several blocks with one submission.
    ReadMany([Pick; 3]),
    /// Start reading.
    Prefetch([Pick; 3]),
    /// Enter an image that the medium does not have.
    Insert(u8),
    /// Dirty the image of a block; the supply gives the n-th free block.
    Dirty(Who, Pick, u8),
    /// Dirty a new block; the supply gives the n-th free block.
    Create(Who, u8),
    /// As `Create`, with an empty supply.
    CreateInVain(Who),
    /// Write a transaction.
    Write(Who),
    /// Forget one block.
    Forget(Who, u8),
    /// Forget all blocks.
    ForgetAll(Who),
    /// Give memory back.
    Shrink(u8),
    /// Change the capacity.
    SetCapacity(u8),
    /// Flush.
    Flush,
    /// Another node writes a block.
    Overwrite(u8),
    /// The medium loses a bit.
    Damage(u8, u16),
    /// Let go of a held block.
    LetGo(u8),
}
