//! The one loop that retries a stale read.
//!
//! Blocks are copy-on-write: whoever reads from roots that are a little old may meet a block that was overwritten since.
//! That is no error as long as newer roots exist: everything read so far is dropped, newer roots are fetched, and the read
//! starts again (P2). If the roots are the same as before, nobody can have overwritten the block, because a location is
//! only reused once a newer root is durable (P3): then it is damage.

use crate::CacheError;

/// Calls `read` with the roots that `fetch` gives, again and again with newer ones while it ends in
/// [`CacheError::Stale`].
///
/// `read` gets a fresh `T::default()` each time to accumulate into, so that nothing read from older roots can survive into
/// the result. `fetch` may wait, and its error ends the loop. The bound is the roots themselves: each retry needs roots
/// that differ from those before.
///
/// # Errors
/// [`CacheError::Corrupt`] when the same roots were stale twice; whatever else `fetch` or `read` failed with.
///
/// ```
/// use tidelock_block_cache::{CacheError, with_snapshot};
///
/// let mut generation = 0;
/// let found = with_snapshot(
///     || { generation += 1; Ok::<_, CacheError>(generation) },
///     |roots: &i32, so_far: &mut Vec<i32>| { so_far.push(*roots); Ok(()) },
/// );
/// assert_eq!(found.unwrap(), [1]);
/// ```
pub fn with_snapshot<R: PartialEq, T: Default, E: From<CacheError> + StaleRead>(
    mut fetch: impl FnMut() -> Result<R, E>,
    mut read: impl FnMut(&R, &mut T) -> Result<(), E>,
) -> Result<T, E> {
    // None until a first attempt was stale: not the same as null roots, which are roots like any others (S-15).
    let mut stale: Option<R> = None;
    loop {
        let roots = fetch()?;
        let mut result = T::default();
        match read(&roots, &mut result) {
            Ok(()) => return Ok(result),
            Err(error) => match error.stale() {
                None => return Err(error),
                Some(CacheError::Stale { wanted, found }) if stale.as_ref() == Some(&roots) => {
                    tracing::error!(%wanted, %found, "stale twice with the same roots: the volume is damaged");
                    return Err(CacheError::Corrupt { wanted: *wanted, found: *found }.into());
                }
                Some(_) => stale = Some(roots),
            },
        }
    }
}

/// An error that may be a stale read.
pub trait StaleRead {
    /// The stale read that this error is, if it is one.
    fn stale(&self) -> Option<&CacheError>;
}

impl StaleRead for CacheError {
    fn stale(&self) -> Option<&CacheError> {
        self.is_stale().then_some(self)
    }
}
