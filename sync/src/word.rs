//! Several fields in one atomic word.
//!
//! A [`Field`] knows its width and the field below it, so its position is derived and two fields cannot overlap. The
//! whole is checked to fit at compile time. The idea is `sharded-slab`'s `Pack`.
//!
//! ```
//! use tidelock_sync::word::Field;
//!
//! const PINS: Field = Field::first(32);
//! const PHASE: Field = PINS.then(3);
//! const PRESENT: Field = PHASE.then(1);
//!
//! let word = PHASE.put(PINS.put(0, 7), 5);
//! assert_eq!((PINS.get(word), PHASE.get(word), PRESENT.get(word)), (7, 5, 0));
//! // Adding one to a field is adding its unit to the word: what `fetch_add` does.
//! assert_eq!(PINS.get(word + PINS.unit()), 8);
//! ```

/// A run of bits in a 64-bit word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    shift: u32,
    width: u32,
}

impl Field {
    /// The lowest `width` bits.
    ///
    /// # Panics
    /// If `width` is 0 or more than 64; at compile time in a `const`.
    pub const fn first(width: u32) -> Self {
        assert!(width > 0 && width <= 64, "a field has 1 to 64 bits");
        Self { shift: 0, width }
    }

    /// The `width` bits above this field.
    ///
    /// # Panics
    /// If they do not fit in the word; at compile time in a `const`.
    pub const fn then(self, width: u32) -> Self {
        let shift = self.shift + self.width;
        assert!(width > 0 && shift + width <= 64, "the fields do not fit in 64 bits");
        Self { shift, width }
    }

    /// The greatest value it can hold.
    pub const fn max(self) -> u64 {
        u64::MAX >> (64 - self.width)
    }

    /// Its bits, set.
    pub const fn mask(self) -> u64 {
        self.max() << self.shift
    }

    /// One, at its place: add this to a word to count the field up.
    pub const fn unit(self) -> u64 {
        1 << self.shift
    }

    /// The field's value in `word`.
    #[inline(always)]
    pub const fn get(self, word: u64) -> u64 {
        (word >> self.shift) & self.max()
    }

    /// `word` with this field set to `value`.
    ///
    /// # Panics
    /// In debug builds, if `value` does not fit.
    #[inline(always)]
    pub const fn put(self, word: u64, value: u64) -> u64 {
        debug_assert!(value <= self.max(), "the value does not fit its field");
        (word & !self.mask()) | (value << self.shift)
    }
}
