//! A key as digits, for [`Order`](super::order::Order).

use tidelock_format::{Key, KeyRange};

/// A key in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rank([u64; 4]);

/// The number of a bit of a key: 1 is the most significant.
pub(super) type Bit = u16;

/// The number of a digit of a key, which is four bits: 1 is the most significant.
pub(super) type Digit = u8;

/// In front of all digits.
pub(super) const NO_DIGIT: Digit = 0;

/// Behind all bits.
pub(super) const NO_BIT: Bit = 257;

const BITS: Bit = 4;

impl Rank {
    /// The digit with this number. That in front of all is 0 in every key.
    pub(super) fn digit(&self, digit: Digit) -> u8 {
        let Some(place) = digit.checked_sub(1) else { return 0 };
        let word = self.0[usize::from(place / 16) % self.0.len()];
        (word >> (60 - place % 16 * 4)) as u8 & 15
    }

    /// The first bit in which the two differ.
    pub(super) fn first_difference(&self, other: &Self) -> Bit {
        let words = self.0.iter().zip(&other.0).map(|(word, other)| word ^ other);
        let difference = (0..).zip(words).find(|(_, word)| *word != 0);
        difference.map_or(NO_BIT, |(before, word)| before * 64 + word.leading_zeros() as Bit + 1)
    }

    /// The first bit that is not the same in all keys of `range`.
    pub(super) fn first_free(range: &KeyRange) -> Bit {
        Rank::from(range.start()).first_difference(&range.end().into())
    }
}

impl From<Key> for Rank {
    fn from(key: Key) -> Self {
        let (words, _) = key.0.as_chunks();
        Self([0, 1, 2, 3].map(|i| u64::from_be_bytes(words[i])))
    }
}

/// The digit that a bit is in.
pub(super) fn digit_of(bit: Bit) -> Digit {
    ((bit - 1) / BITS) as Digit + 1
}

/// The first bit in which two keys differ that are the same before `digit`, and there one is `a` and the other `b`.
pub(super) fn bit_of(digit: Digit, a: u8, b: u8) -> Bit {
    debug_assert!(a != b && a < 16 && b < 16);
    (Bit::from(digit) - 1) * BITS + (a ^ b).leading_zeros() as Bit - 3
}
