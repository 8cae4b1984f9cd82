//! A stream of keys, drawn before the clock starts.
//!
//! Reading the next key costs one sequential load, which the hardware prefetches; drawing it inside the loop
//! would cost as much as the lookup that is being measured.

use crate::{rng::Rng, zipf::Zipf};

/// How keys are chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Draw {
    /// Every key alike.
    Uniform,
    /// By Zipf's law with this exponent.
    Zipf(f64),
    /// One key, always.
    Hot,
}

/// The keys that one thread asks for, in order.
#[derive(Debug)]
pub struct Keys(Vec<u32>);

/// The one key of [`Draw::Hot`].
const HOT: u32 = 77;

impl Keys {
    /// One stream of `len` keys below `bound` for each of `threads` threads.
    pub fn streams(draw: Draw, bound: u32, len: usize, threads: usize, seed: u64) -> Vec<Self> {
        let zipf = match draw {
            Draw::Zipf(exponent) => Some(Zipf::new(bound, exponent, &mut Rng::new(seed, u64::MAX))),
            Draw::Uniform | Draw::Hot => None,
        };
        let stream = |thread| {
            let mut rng = Rng::new(seed, thread as u64);
            let next = || match (draw, &zipf) {
                (Draw::Hot, _) => HOT % bound,
                (_, Some(zipf)) => zipf.draw(&mut rng),
                (_, None) => rng.below(bound),
            };
            Self(std::iter::repeat_with(next).take(len).collect())
        };
        (0..threads).map(stream).collect()
    }

    /// `count` keys, from the start and over again when the stream ends, as slices.
    pub fn take(&self, count: usize) -> impl Iterator<Item = &[u32]> {
        let whole = std::iter::repeat_n(self.0.as_slice(), count / self.0.len());
        whole.chain(std::iter::once(&self.0[..count % self.0.len()]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_starts_over_when_it_ends() {
        let keys = &Keys::streams(Draw::Uniform, 1000, 8, 1, 5)[0];
        let taken: Vec<u32> = keys.take(20).flatten().copied().collect();
        assert_eq!(taken.len(), 20);
        assert_eq!(taken[..8], taken[8..16]);
        assert_eq!(taken[..4], taken[16..]);
    }

    #[test]
    fn threads_ask_for_different_keys() {
        let streams = Keys::streams(Draw::Zipf(0.9), 1000, 64, 2, 5);
        assert_ne!(streams[0].0, streams[1].0);
    }
}
