//! Bytes from somebody else, taken one layout at a time.

use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

/// Bytes that were not looked at yet, of a message whose beginning was.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    rest: &'a [u8],
    taken: usize,
}

/// There are fewer bytes than the layout has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{have} bytes are too few: it takes {need}")]
pub struct TooFew {
    /// Bytes of the whole message.
    pub have: usize,
    /// Bytes up to the end of the layout.
    pub need: usize,
}

impl<'a> Cursor<'a> {
    /// At the beginning of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, taken: 0 }
    }

    /// The next bytes, taken for a `T`.
    ///
    /// # Errors
    /// When there are not as many.
    pub fn take<T: FromBytes + KnownLayout + Immutable + Unaligned>(&mut self) -> Result<&'a T, TooFew> {
        let too_few = TooFew { have: self.taken + self.rest.len(), need: self.taken + size_of::<T>() };
        let (taken, rest) = T::ref_from_prefix(self.rest).map_err(|_| too_few)?;
        self.rest = rest;
        self.taken += size_of::<T>();
        Ok(taken)
    }

    /// What was not taken.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::little_endian::U32;

    #[test]
    fn layouts_are_taken_one_after_the_other_until_there_are_too_few_bytes() {
        let mut cursor = Cursor::new(&[1, 0, 0, 0, 2, 0, 0, 0, 3]);
        assert_eq!(cursor.take::<U32>().unwrap().get(), 1);
        assert_eq!(cursor.take::<U32>().unwrap().get(), 2);
        assert_eq!(cursor.take::<U32>(), Err(TooFew { have: 9, need: 12 }));
        assert_eq!(cursor.rest(), [3]);
    }
}
