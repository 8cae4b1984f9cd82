//! Where a writer's new blocks come from. Whoever owns the volume's free space implements it.

use std::error::Error;

use tidelock_format::BlockNo;

/// Hands out free blocks, and takes note of those that a transaction leaves behind.
pub trait BlockSupply: Send {
    /// Takes a free block for a new image, and records `old`, the block whose image it replaces, as free from when this
    /// transaction is durable. One step: on an error nothing has changed.
    ///
    /// # Errors
    /// [`SupplyError`] when there is no block to be had.
    fn replace(&mut self, old: Option<BlockNo>) -> Result<BlockNo, SupplyError>;
}

/// Why a supply gave no block.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SupplyError {
    /// It has none left: commit, so that it can be refilled.
    #[error("the supply has no block left: commit and refill it")]
    Empty,
    /// Something else, in the supply's own words.
    #[error(transparent)]
    Other(Box<dyn Error + Send + Sync>),
}
