//! Chance, from a seed.
//!
//! Each part of a run has a stream of its own, so that a change in one (a fault that is left out, say) moves the others as
//! little as possible. Only whole numbers: what a seed means is the same on every machine and with every compiler.

use std::time::Duration;

/// A stream of numbers, by Steele, Lea and Flood's SplitMix64 (OOPSLA 2014).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// The stream of this seed with this number.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut random = Self(seed ^ stream.wrapping_mul(0xd134_2543_de82_ef95));
        random.next();
        Self(random.next())
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    pub(crate) fn wide(&mut self) -> u128 {
        u128::from(self.next()) << 64 | u128::from(self.next())
    }

    /// A number below `end`; zero if there is none.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        // The high half of a product: as even as any use here needs.
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }

    pub(crate) fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// From `first` to `last`, both included.
    pub(crate) fn among(&mut self, first: u64, last: u64) -> u64 {
        first + self.below(last - first + 1)
    }

    /// Yes, so many times out of a thousand.
    pub(crate) fn permille(&mut self, yes: u64) -> bool {
        self.below(1000) < yes
    }

    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.index(of.len())]
    }

    /// A time from `least` to `most`, all alike.
    pub(crate) fn time(&mut self, least: Duration, most: Duration) -> Duration {
        let width = nanos(most).saturating_sub(nanos(least));
        least + Duration::from_nanos(self.below(width + 1))
    }

    /// A time from `least` to `most`, mostly a short one.
    pub(crate) fn short_time(&mut self, least: Duration, most: Duration) -> Duration {
        let width = u128::from(nanos(most).saturating_sub(nanos(least)));
        let third = |width: u128, draw: u64| (width * u128::from(draw >> 32)) >> 32;
        let width = third(third(third(width, self.next()), self.next()), self.next());
        least + Duration::from_nanos(width as u64)
    }

    /// A time from `least` to `most`: every other one short.
    pub(crate) fn long_time(&mut self, least: Duration, most: Duration) -> Duration {
        let is_short = self.permille(500);
        if is_short { self.short_time(least, most) } else { self.time(least, most) }
    }
}

/// A time as a whole number.
pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_repeats_itself_and_is_like_no_other() {
        let draw = |seed, stream| (0..8).map(|_| Random::new(seed, stream).next()).collect::<Vec<_>>();
        assert_eq!(draw(7, 1), draw(7, 1));
        assert_ne!(draw(7, 1), draw(7, 2));
        assert_ne!(draw(7, 1), draw(8, 1));
    }

    #[test]
    fn draws_stay_within_their_bounds() {
        let mut random = Random::new(1, 1);
        let (least, most) = (Duration::from_millis(3), Duration::from_millis(9));
        for _ in 0..10_000 {
            assert!(random.below(3) < 3);
            assert!((2..=4).contains(&random.among(2, 4)));
            assert!((least..=most).contains(&random.time(least, most)));
            assert!((least..=most).contains(&random.short_time(least, most)));
        }
        assert_eq!(random.below(0), 0);
    }
}
