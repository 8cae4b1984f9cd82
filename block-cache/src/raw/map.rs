//! One bit a frame: which frames a part of the policy holds, how many, and a hand that walks them.
//!
//! Many threads change these at once, and nothing that is right depends on them (V2). So each thread keeps to itself what it
//! can: its last few changes of the count, and a *span* of frames that it took from the hand and walks alone. With one count
//! and one hand for all, two threads that evict spend a fifth of an insertion on handing the two lines to each other.

use std::io;

use crossbeam_utils::CachePadded;
use tidelock_sync::thread_index;
// V2: std's own, also under models, which need not explore what no correctness rests on.
use tidelock_sync::unmodelled::{AtomicIsize, AtomicU64, AtomicUsize, Ordering};

use super::region::{Region, Zeroed};

/// Words of a bitmap that one step of a hand looks through at the most. It goes on from there the next time.
const WORDS_MAX: usize = 4096;

/// Times that a walker tries to get frames before another does.
const RACES_MAX: usize = 16;

/// Threads that keep changes of the count to themselves; others tell each at once.
const TELLERS: usize = if cfg!(any(tidelock_loom, tidelock_shuttle)) { 1 } else { 64 };

#[derive(Debug)]
#[repr(transparent)]
struct Word(AtomicU64);

// SAFETY: an atomic integer, for which zero bytes are the value 0.
unsafe impl Zeroed for Word {
    #[cfg(any(tidelock_loom, tidelock_shuttle))]
    fn zeroed() -> Self {
        Self(AtomicU64::new(0))
    }
}

/// One bit a frame, how many are set, and a hand that walks them.
#[derive(Debug)]
pub(crate) struct Map {
    bits: Region<Word>,
    told: CachePadded<AtomicIsize>,
    untold: Box<[CachePadded<AtomicIsize>]>,
    hand: CachePadded<AtomicUsize>,
}

/// Frames that one thread took from the hand, and walks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Span {
    next: usize,
    end: usize,
}

/// How coarse the books of a part are. Both grow with the cache; those of a small one are exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grain {
    /// Changes of a count that a thread keeps to itself.
    untold_max: u32,
    /// Frames to a span; a power of two.
    span: u32,
}

impl Grain {
    /// For a cache of `capacity` frames.
    pub(super) fn of(capacity: usize) -> Self {
        // At most a cache line of bits, and a hundredth of the cache: it is walked in about the order in which it was filled.
        let span = (capacity / 128).clamp(1, 512);
        Self { untold_max: (capacity / 1024).clamp(1, 16) as u32, span: 1 << span.ilog2() }
    }

    /// Both in one number, which can be kept in an atomic.
    pub(super) const fn bits(self) -> u64 {
        (self.untold_max as u64) << 32 | self.span as u64
    }

    pub(super) const fn from_bits(bits: u64) -> Self {
        Self { untold_max: (bits >> 32) as u32, span: bits as u32 }
    }

    pub(super) const fn untold_max(self) -> u32 {
        self.untold_max
    }
}

impl Map {
    pub(super) fn reserve(frames: usize) -> io::Result<Self> {
        Ok(Self {
            bits: Region::reserve(frames.div_ceil(64))?,
            told: CachePadded::default(),
            untold: (0..TELLERS).map(|_| CachePadded::default()).collect(),
            hand: CachePadded::default(),
        })
    }

    fn word(&self, index: usize) -> &AtomicU64 {
        assert!(index < self.bits.len(), "F1");
        // SAFETY: checked in the line above.
        &unsafe { self.bits.get(index) }.0
    }

    pub(super) fn set(&self, frame: usize, grain: Grain) {
        let bit = 1 << (frame % 64);
        // Relaxed: V2.
        if self.word(frame / 64).fetch_or(bit, Ordering::Relaxed) & bit == 0 {
            self.count(1, grain);
        }
    }

    /// Clears a frame's bit; tells whether this call did.
    pub(super) fn clear(&self, frame: usize, grain: Grain) -> bool {
        let bit = 1 << (frame % 64);
        // Relaxed: V2; a look first, as most frames stand in the other part.
        if self.word(frame / 64).load(Ordering::Relaxed) & bit == 0 {
            return false;
        }
        let was_set = self.word(frame / 64).fetch_and(!bit, Ordering::Relaxed) & bit != 0;
        if was_set {
            self.count(-1, grain);
        }
        was_set
    }

    fn count(&self, by: isize, grain: Grain) {
        // Relaxed, throughout: V2. What is untold has one writer: the thread of that number.
        let Some(untold) = self.untold.get(thread_index()) else {
            self.told.fetch_add(by, Ordering::Relaxed);
            return;
        };
        let now = untold.load(Ordering::Relaxed) + by;
        if now.unsigned_abs() < grain.untold_max as usize {
            untold.store(now, Ordering::Relaxed);
        } else {
            untold.store(0, Ordering::Relaxed);
            self.told.fetch_add(now, Ordering::Relaxed);
        }
    }

    /// How many bits are set, as far as the calling thread knows.
    pub(super) fn len(&self) -> usize {
        // Relaxed, both: V2.
        let untold = self.untold.get(thread_index()).map_or(0, |untold| untold.load(Ordering::Relaxed));
        (self.told.load(Ordering::Relaxed) + untold).max(0) as usize
    }

    /// How many bits are set, as far as anybody knows.
    pub(super) fn total(&self) -> usize {
        // Relaxed, both: V2.
        let untold: isize = self.untold.iter().map(|untold| untold.load(Ordering::Relaxed)).sum();
        (self.told.load(Ordering::Relaxed) + untold).max(0) as usize
    }

    /// The next frame of this part below `end`, and whether the hand passed the end on its way. `mine` is the calling thread's
    /// span.
    ///
    /// Walkers who meet take turns: each span is given to one of them. (With a plain store a hand that was overtaken is put
    /// back, frames are looked at twice, and main forgets twice as fast.)
    pub(super) fn next(&self, end: usize, grain: Grain, mine: &mut Span) -> Option<(usize, bool)> {
        if let Some(frame) = self.next_of(mine, end) {
            return Some((frame, false));
        }
        let end = end.max(1);
        // Relaxed, here and below: V2.
        let mut hand = self.hand.load(Ordering::Relaxed);
        // Bound: each failed exchange means that another walker got a span; after a few this one takes its frame unasked.
        for _ in 0..RACES_MAX {
            let (found, to) = self.search(hand, end);
            // A span ends where its number is a multiple: a hand that was left within one goes on there.
            let after = found.map_or(to, |frame| (frame | (grain.span as usize - 1)) + 1);
            match self.hand.compare_exchange_weak(hand, after, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => {
                    let frame = found?;
                    *mine = Span { next: frame + 1, end: after };
                    return Some((frame, frame < hand));
                }
                Err(moved) => hand = moved,
            }
        }
        self.search(hand, end).0.map(|frame| (frame, false))
    }

    /// The frames that `mine` will probably be next, as far as one word of the bitmap tells.
    #[inline]
    pub(super) fn soon(&self, mine: &Span) -> impl Iterator<Item = usize> + use<> {
        let first = mine.next;
        let has_more = first < mine.end && first / 64 < self.bits.len();
        // Relaxed: V2.
        let word = if has_more { self.word(first / 64).load(Ordering::Relaxed) } else { 0 };
        let mut bits = word >> (first % 64);
        std::iter::from_fn(move || {
            let frame = (bits != 0).then(|| first + bits.trailing_zeros() as usize);
            bits &= bits.wrapping_sub(1);
            frame
        })
    }

    /// The next frame of a span.
    fn next_of(&self, span: &mut Span, end: usize) -> Option<usize> {
        let end = span.end.min(end);
        // Bound: the words of a span.
        while span.next < end {
            // Relaxed: V2.
            let bits = self.word(span.next / 64).load(Ordering::Relaxed) >> (span.next % 64);
            if bits == 0 {
                span.next = (span.next / 64 + 1) * 64;
                continue;
            }
            let frame = span.next + bits.trailing_zeros() as usize;
            span.next = frame + 1;
            return (frame < end).then_some(frame);
        }
        None
    }

    /// The next frame at or after `hand`, round the end, and where that leaves the hand.
    fn search(&self, hand: usize, end: usize) -> (Option<usize>, usize) {
        let from = if hand < end { hand } else { 0 };
        let words = end.div_ceil(64);
        let mut masked = !0 << (from % 64);
        // Bound: once around, or WORDS_MAX words.
        for step in 0..=words.min(WORDS_MAX) {
            let index = (from / 64 + step) % words;
            // Relaxed: V2.
            let bits = self.word(index).load(Ordering::Relaxed) & masked;
            masked = !0;
            if bits != 0 {
                let frame = index * 64 + bits.trailing_zeros() as usize;
                return (Some(frame), frame + 1);
            }
        }
        (None, from + words.min(WORDS_MAX) * 64)
    }
}

#[cfg(all(test, not(any(tidelock_loom, tidelock_shuttle))))]
mod tests {
    use std::collections::HashSet;
    use std::thread;

    use super::*;

    const FRAMES: usize = 1 << 16;
    const WALKERS: usize = 4;

    fn full() -> (Map, Grain) {
        let (map, grain) = (Map::reserve(FRAMES).unwrap(), Grain::of(FRAMES));
        (0..FRAMES).for_each(|frame| map.set(frame, grain));
        (map, grain)
    }

    #[test]
    fn walkers_side_by_side_are_given_each_frame_once_a_turn() {
        let (map, grain) = full();
        let walk = || {
            let mut span = Span::default();
            let next = || map.next(FRAMES, grain, &mut span).expect("all are set").0;
            std::iter::repeat_with(next).take(FRAMES / WALKERS).collect::<Vec<_>>()
        };
        let walked: HashSet<usize> = thread::scope(|scope| {
            let walkers: Vec<_> = (0..WALKERS).map(|_| scope.spawn(walk)).collect();
            walkers.into_iter().flat_map(|walker| walker.join().unwrap()).collect()
        });
        assert_eq!(walked.len(), FRAMES);
    }

    #[test]
    fn one_walker_meets_the_frames_in_order_and_is_told_of_each_turn() {
        let (map, grain) = full();
        (0..FRAMES).filter(|frame| frame % 700 != 0).for_each(|frame| assert!(map.clear(frame, grain)));
        let mut span = Span::default();
        for turn in 0..3 {
            for expected in (0..FRAMES).step_by(700) {
                let is_first_of_turn = expected == 0 && turn > 0;
                assert_eq!(map.next(FRAMES, grain, &mut span), Some((expected, is_first_of_turn)));
            }
        }
    }

    #[test]
    fn what_is_said_to_come_soon_comes_next() {
        let (map, grain) = full();
        (0..FRAMES).filter(|frame| frame % 5 != 0).for_each(|frame| assert!(map.clear(frame, grain)));
        let mut span = Span::default();
        assert_eq!(map.soon(&span).count(), 0, "of a span that was not taken");
        for _ in 0..FRAMES / 5 / 10 {
            let soon: Vec<_> = map.soon(&span).collect();
            assert!(soon.len() < 64);
            for frame in soon {
                assert_eq!(map.next(FRAMES, grain, &mut span), Some((frame, false)));
            }
            map.next(FRAMES, grain, &mut span);
        }
    }

    #[test]
    fn a_span_that_ends_behind_the_last_frame_has_nothing_there() {
        let (map, grain) = (Map::reserve(100).unwrap(), Grain::of(FRAMES));
        map.set(99, grain);
        let mut span = Span::default();
        assert_eq!(map.next(100, grain, &mut span), Some((99, false)));
        assert_eq!(map.soon(&span).count(), 0);
        span.next = 128;
        assert_eq!(map.soon(&span).count(), 0);
    }

    #[test]
    fn a_grain_survives_being_a_number() {
        for grain in [0, 1, 1000, 100_000, usize::MAX].map(Grain::of) {
            assert_eq!(Grain::from_bits(grain.bits()), grain);
        }
    }

    #[test]
    fn what_threads_have_not_told_yet_is_counted_by_whoever_wants_to_know_exactly() {
        let (map, grain) = full();
        thread::scope(|scope| {
            for walker in 0..WALKERS {
                let map = &map;
                let own = (0..FRAMES).filter(move |frame| frame % WALKERS == walker).take(1001);
                scope.spawn(move || own.for_each(|frame| assert!(map.clear(frame, grain))));
            }
        });
        assert_eq!(map.total(), FRAMES - WALKERS * 1001);
        let known = map.len().abs_diff(map.total());
        assert!(known < (WALKERS + 1) * grain.untold_max as usize, "{known}");
    }

    #[test]
    fn the_books_of_a_small_cache_are_exact() {
        let (map, grain) = (Map::reserve(100).unwrap(), Grain::of(100));
        for frame in 0..100 {
            map.set(frame, grain);
            thread::scope(|scope| assert_eq!(scope.spawn(|| map.len()).join().unwrap(), frame + 1));
        }
        let (mut first, mut second) = (Span::default(), Span::default());
        for frame in (0..100).step_by(2) {
            assert_eq!(map.next(100, grain, &mut first), Some((frame, false)));
            assert_eq!(map.next(100, grain, &mut second), Some((frame + 1, false)));
        }
    }
}
