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

    /// So many of the next bytes.
    ///
    /// # Errors
    /// When there are not as many.
    pub fn take_bytes(&mut self, count: usize) -> Result<&'a [u8], TooFew> {
        let too_few = TooFew { have: self.taken + self.rest.len(), need: self.taken.saturating_add(count) };
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(too_few)?;
        self.rest = rest;
        self.taken += count;
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
    fn bytes_are_taken_as_long_as_there_are_enough() {
        let mut rest = Cursor::new(&[1, 2, 3]);
        assert_eq!(rest.take_bytes(2), Ok(&[1, 2][..]));
        assert_eq!(rest.take_bytes(2), Err(TooFew { have: 3, need: 4 }));
        assert_eq!(rest.take_bytes(usize::MAX), Err(TooFew { have: 3, need: usize::MAX }));
        assert_eq!(rest.take_bytes(1), Ok(&[3][..]));
    }

    #[test]
    fn layouts_are_taken_one_after_the_other_until_there_are_too_few_bytes() {
        let mut cursor = Cursor::new(&[1, 0, 0, 0, 2, 0, 0, 0, 3]);
        assert_eq!(cursor.take::<U32>().unwrap().get(), 1);
        assert_eq!(cursor.take::<U32>().unwrap().get(), 2);
        assert_eq!(cursor.take::<U32>(), Err(TooFew { have: 9, need: 12 }));
        assert_eq!(cursor.rest(), [3]);
    }
}
