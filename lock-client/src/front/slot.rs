//! One lock as those see it who use it: three cache lines that are never freed, and given to other locks in turn.
//!
//! Users write the first. The second says which lock it is, and is only read; what is in the third is seldom looked at.

use tidelock_format::{Key, KeyRange, Token};
use tidelock_sync::Mutex;
use tidelock_sync::atomic::{AtomicU64, Ordering};
use tidelock_sync::unmodelled::AtomicBool;

use super::word::Word;

/// Words of a key.
const KEY_WORDS: usize = Key::BYTES / size_of::<u64>();

/// The slot of one lock.
#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct Slot {
    pub(super) word: Word,
    start: [AtomicU64; KEY_WORDS],
    end: [AtomicU64; KEY_WORDS],
    /// Its refresh generation; zero while nothing may be read without taking the lock.
    pub(super) refresh: AtomicU64,
    /// What whoever used it last left for the invalidation.
    pub(super) stamp: AtomicU64,
    /// Whether it was used since the last look for idle locks.
    pub(super) was_used: AtomicBool,
    pub(super) token: Mutex<Token>,
}

impl Slot {
    pub(super) fn new() -> Self {
        let key = || std::array::from_fn(|_| AtomicU64::new(0));
        Self {
            word: Word::new(),
            start: key(),
            end: key(),
            refresh: AtomicU64::new(0),
            stamp: AtomicU64::new(0),
            was_used: AtomicBool::new(false),
            token: Mutex::new(Token::default()),
        }
    }

    /// Gives the slot to the lock of this range. Nobody is in it.
    pub(super) fn give_to(&self, range: &KeyRange) {
        // Relaxed: `Word::open` follows, and only who gets in after that looks (J1).
        let put = |words: &[AtomicU64; KEY_WORDS], key: Key| {
            words.iter().zip(split(key)).for_each(|(word, value)| word.store(value, Ordering::Relaxed));
        };
        put(&self.start, range.start());
        put(&self.end, range.end());
        self.stamp.store(0, Ordering::Relaxed);
    }

    /// Whether this is the lock of that range. The caller is in it, or has the desk's mutex.
    #[inline]
    pub(super) fn is_of(&self, range: &KeyRange) -> bool {
        // Relaxed: who is in the slot has synchronised with whoever gave it to the lock, and keeps it from being given
        // to another.
        let is = |words: &[AtomicU64; KEY_WORDS], key: Key| {
            words.iter().zip(split(key)).all(|(word, value)| word.load(Ordering::Relaxed) == value)
        };
        is(&self.start, range.start()) && is(&self.end, range.end())
    }

    /// The lock's range. The caller is in it, or has the desk's mutex.
    pub(super) fn range(&self) -> KeyRange {
        // Relaxed: as in `is_of`.
        let get =
            |words: &[AtomicU64; KEY_WORDS]| join(std::array::from_fn(|i| words[i].load(Ordering::Relaxed)));
        KeyRange::new(get(&self.start), get(&self.end)).expect("a slot is given to a whole range")
    }
}

/// A key as words, for atomics: their order means nothing.
#[inline]
pub(super) fn split(key: Key) -> [u64; KEY_WORDS] {
    std::array::from_fn(|i| {
        let bytes = key.0[i * size_of::<u64>()..].first_chunk().expect("a key is whole words");
        u64::from_le_bytes(*bytes)
    })
}

fn join(words: [u64; KEY_WORDS]) -> Key {
    let mut key = Key::MIN;
    for (bytes, word) in key.0.chunks_exact_mut(size_of::<u64>()).zip(words) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    key
}
