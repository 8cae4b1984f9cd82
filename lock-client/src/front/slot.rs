//! One lock as those see it who use it: four cache lines that are never freed, and given to other locks in turn.
//!
//! Users write the first. The next two say which lock it is, and are only read; what is in the last is seldom looked at.
//!
//! **Lanes.** Readers of one lock on several processors would have the first line from each other, twice for each use. A slot in
//! which readers often meet gets more words, each in a line of its own, and every thread keeps to one of them. Each is a word
//! as the first: says by itself what the lock may be used as, counts its users, and knows when the last of them leaves. So
//! a user needs one of them; whoever changes a lock changes all; and a lock is drained when all are.

use std::num::NonZero;
use std::sync::OnceLock;

use tidelock_format::{Key, KeyRange, Token};
use tidelock_sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tidelock_sync::unmodelled::{self, AtomicU32};
use tidelock_sync::{Mutex, thread_index};

use super::word::Word;

/// Words of a key.
const KEY_WORDS: usize = Key::BYTES / size_of::<u64>();

/// Readers that meet so often in a slot keep it busy.
const CROWD: u32 = if cfg!(tidelock_loom) { u32::MAX } else { 64 };

/// Words that a crowded slot gets: one for each processor, as a power of two.
fn lanes() -> usize {
    static LANES: OnceLock<usize> = OnceLock::new();
    let processors = || std::thread::available_parallelism().map_or(1, NonZero::get);
    let count = || if cfg!(tidelock_loom) { 2 } else { processors().next_power_of_two().min(64) };
    *LANES.get_or_init(count)
}

/// The slot of one lock.
#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct Slot {
    word: Word,
    start: [AtomicU64; KEY_WORDS],
    end: [AtomicU64; KEY_WORDS],
    /// Which lock that is, in another way: no two that ever had a slot have the same number.
    tenant: AtomicU64,
    /// More words, if readers have met here.
    lanes: OnceLock<Box<[Word]>>,
    is_wide: AtomicBool,
    /// How often they have.
    crowd: AtomicU32,
    /// Its refresh generation; zero while nothing may be read without taking the lock.
    pub(super) refresh: AtomicU64,
    /// What whoever used it last left for the invalidation.
    pub(super) stamp: AtomicU64,
    /// Whether it was used since the last look for idle locks.
    pub(super) was_used: unmodelled::AtomicBool,
    pub(super) token: Mutex<Token>,
}

impl Slot {
    pub(super) fn new() -> Self {
        let key = || std::array::from_fn(|_| AtomicU64::new(0));
        Self {
            word: Word::new(),
            start: key(),
            end: key(),
            tenant: AtomicU64::new(0),
            lanes: OnceLock::new(),
            is_wide: AtomicBool::new(false),
            crowd: AtomicU32::new(0),
            refresh: AtomicU64::new(0),
            stamp: AtomicU64::new(0),
            was_used: unmodelled::AtomicBool::new(false),
            token: Mutex::new(Token::default()),
        }
    }

    // --- words -------------------------------------------------------------------------------------------------------

    /// The word by which this thread takes the lock.
    #[inline]
    pub(super) fn word(&self) -> &Word {
        // Acquire: pairs with the Release in `widen`; whoever goes to a lane finds it made.
        if !self.is_wide.load(Ordering::Acquire) {
            return &self.word;
        }
        let lanes = self.lanes.get().expect("lanes are made before they are used");
        // A power of two.
        &lanes[thread_index() & (lanes.len() - 1)]
    }

    /// The first, by which a lock is handed to somebody who waited.
    pub(super) fn first_word(&self) -> &Word {
        &self.word
    }

    /// All of them. The caller has the desk's mutex, or does not mind missing lanes that are new.
    pub(super) fn words(&self) -> impl Iterator<Item = &Word> {
        std::iter::once(&self.word).chain(self.lanes.get().into_iter().flatten())
    }

    /// Users, for reading and for writing.
    pub(super) fn users(&self) -> (u64, u64) {
        let users = self.words().map(|word| word.look().users());
        users.fold((0, 0), |(readers, writers), (r, w)| (readers + r, writers + w))
    }

    /// A reader has met another. Tells whether that was once too often.
    #[inline]
    pub(super) fn is_crowded(&self) -> bool {
        // Relaxed: hints, to steer by.
        !self.is_wide.load(Ordering::Relaxed) && self.crowd.fetch_add(1, Ordering::Relaxed) >= CROWD
    }

    /// Gives the slot lanes. The caller has the desk's mutex, so that what the lock may be used as does not change meanwhile.
    pub(super) fn widen(&self) {
        self.lanes.get_or_init(|| (0..lanes()).map(|_| self.word.empty_copy()).collect());
        // Release: pairs with the Acquire in `word`.
        let order =
            if cfg!(tidelock_weaken = "widen_release") { Ordering::Relaxed } else { Ordering::Release };
        self.is_wide.store(true, order);
    }

    // --- which lock --------------------------------------------------------------------------------------------------

    /// Gives the slot to the lock of this range. Nobody is in it.
    pub(super) fn give_to(&self, range: &KeyRange, tenant: u64) {
        // Relaxed: `Word::open` follows, and only who gets in after that looks (J1).
        let put = |words: &[AtomicU64; KEY_WORDS], key: Key| {
            words.iter().zip(split(key)).for_each(|(word, value)| word.store(value, Ordering::Relaxed));
        };
        put(&self.start, range.start());
        put(&self.end, range.end());
        self.tenant.store(tenant, Ordering::Relaxed);
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

    /// The number of the lock that has the slot. The caller is in it.
    #[inline]
    pub(super) fn tenant(&self) -> u64 {
        // Relaxed: as in `is_of`.
        self.tenant.load(Ordering::Relaxed)
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
