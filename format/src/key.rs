//! What names an item, and a piece of the space that items live in.
//!
//! A key is 32 bytes, compared as one big-endian number. What the bytes mean is up to who chooses them: Tidelock only
//! orders them. Locks and trees share this space, so "does this lock cover this item?" is a comparison.

use std::fmt;

/// The name of an item: 32 bytes, ordered as one big-endian number.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub [u8; Key::BYTES]);

impl Key {
    /// Bytes of a key.
    pub const BYTES: usize = 32;

    /// The first of all keys.
    pub const MIN: Key = Key([0; Key::BYTES]);

    /// The last of all keys.
    pub const MAX: Key = Key([0xff; Key::BYTES]);

    /// The key whose number is `number`.
    ///
    /// ```
    /// # use tidelock_format::Key;
    /// assert!(Key::from_u64(255) < Key::from_u64(256));
    /// ```
    pub const fn from_u64(number: u64) -> Self {
        let mut bytes = [0; Self::BYTES];
        let number = number.to_be_bytes();
        let mut i = 0;
        while i < number.len() {
            bytes[Self::BYTES - number.len() + i] = number[i];
            i += 1;
        }
        Key(bytes)
    }

    /// The key after this one; `None` after the last.
    pub fn next(self) -> Option<Self> {
        let mut bytes = self.0;
        // Adds one: bytes that are full carry over into the one before.
        let place = bytes.iter().rposition(|byte| *byte != 0xff)?;
        bytes[place] += 1;
        bytes[place + 1..].fill(0);
        Some(Key(bytes))
    }
}

impl fmt::Display for Key {
    /// Hexadecimal without leading zeros: keys are long, and mostly small.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let zeros = self.0.iter().take_while(|byte| **byte == 0).count();
        let Some((first, rest)) = self.0[zeros..].split_first() else { return f.write_str("0") };
        write!(f, "{first:x}")?;
        rest.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

/// All keys from `start` to `end`, both included. Never empty.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyRange {
    start: Key,
    end: Key,
}

impl KeyRange {
    /// Every key there is.
    pub const ALL: KeyRange = KeyRange { start: Key::MIN, end: Key::MAX };

    /// The keys from `start` to `end`, both included; `None` when `end` comes first.
    pub fn new(start: Key, end: Key) -> Option<Self> {
        (start <= end).then_some(Self { start, end })
    }

    /// The range of one key.
    pub const fn of(key: Key) -> Self {
        Self { start: key, end: key }
    }

    /// The first key.
    pub const fn start(&self) -> Key {
        self.start
    }

    /// The last key.
    pub const fn end(&self) -> Key {
        self.end
    }

    /// Whether `key` is one of them.
    pub fn contains(&self, key: Key) -> bool {
        self.start <= key && key <= self.end
    }

    /// Whether every key of `other` is one of these.
    pub fn covers(&self, other: &KeyRange) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// Whether the two share a key.
    pub fn overlaps(&self, other: &KeyRange) -> bool {
        self.start <= other.end && other.start <= self.end
    }
}

impl fmt::Display for KeyRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..={}", self.start, self.end)
    }
}

impl fmt::Debug for KeyRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyRange({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keys_are_ordered_as_big_endian_numbers() {
        let mut first_byte = Key::MIN;
        first_byte.0[0] = 1;
        assert!(Key::MIN < Key::from_u64(1) && Key::from_u64(u64::MAX) < first_byte && first_byte < Key::MAX);
    }

    #[test]
    fn the_next_key_carries() {
        assert_eq!(Key::MIN.next(), Some(Key::from_u64(1)));
        assert_eq!(Key::from_u64(0xffff).next(), Some(Key::from_u64(0x1_0000)));
        assert_eq!(Key::MAX.next(), None);
    }

    #[test]
    fn keys_and_ranges_are_shown_in_short() {
        assert_eq!(KeyRange::new(Key::MIN, Key::from_u64(0xa0b)).unwrap().to_string(), "0..=a0b");
        assert_eq!(Key::MAX.to_string(), "f".repeat(64));
    }

    fn key() -> impl Strategy<Value = Key> {
        // Few different ones, at both ends, so that they meet.
        prop_oneof![(0u64..6).prop_map(Key::from_u64), any::<[u8; 32]>().prop_map(Key), Just(Key::MAX)]
    }

    fn range() -> impl Strategy<Value = KeyRange> {
        (key(), key()).prop_map(|(a, b)| KeyRange::new(a.min(b), a.max(b)).unwrap())
    }

    proptest! {
        #[test]
        fn what_ranges_say_of_each_other_agrees(a in range(), b in range(), key in key()) {
            prop_assert_eq!(a.overlaps(&b), a.contains(b.start()) || b.contains(a.start()));
            prop_assert_eq!(a.covers(&b), a.contains(b.start()) && a.contains(b.end()));
            prop_assert_eq!(a.contains(key), a.covers(&KeyRange::of(key)));
            prop_assert!(KeyRange::ALL.covers(&a));
        }

        #[test]
        fn nothing_lies_between_a_key_and_the_next(a in key(), b in key()) {
            if let Some(next) = a.next() {
                prop_assert!(a < next && !(a < b && b < next));
            }
        }

        #[test]
        fn an_empty_range_cannot_be_made(a in key(), b in key()) {
            prop_assert_eq!(KeyRange::new(a, b).is_some(), a <= b);
        }
    }
}
