//! How long to wait before the next attempt to connect.

use std::time::Duration;

/// The first pause is so many times shorter than the longest: a server that is replaced is away for some hundredths of a
/// second, and whoever comes too early comes again after about as long as it was away.
const FIRST: u32 = 64;

/// Pauses that double up to a limit, each between half and all of what is due.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pause {
    state: u64,
    due: Duration,
    max: Duration,
}

impl Pause {
    pub(super) fn new(seed: u64, max: Duration) -> Self {
        Self { state: seed, due: max / FIRST, max }
    }

    /// Only what the server said ends the doubling: that a connection could be made says nothing of who is behind it.
    pub(super) fn reset(&mut self) {
        self.due = self.max / FIRST;
    }

    pub(super) fn next(&mut self) -> Duration {
        let due = self.due.max(Duration::from_millis(1));
        self.due = (due * 2).min(self.max);
        due / 2 + due.mul_f64(self.fraction() / 2.0)
    }

    /// From zero to one, by Steele, Lea and Flood's SplitMix64 (OOPSLA 2014).
    fn fraction(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) as f64 / u64::MAX as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// an unreachable server is not stormed, and clients do not come back in step.
    #[test]
    fn pauses_double_up_to_the_limit_and_differ() {
        let max = Duration::from_millis(1600);
        let [first, second] = [1, 2].map(|seed| {
            let mut pause = Pause::new(seed, max);
            (0..9).map(|_| pause.next()).collect::<Vec<_>>()
        });
        assert_ne!(first, second);
        for (n, wait) in first.into_iter().enumerate() {
            let due = (max / FIRST * 2u32.pow(n as u32)).min(max);
            assert!(due / 2 <= wait && wait <= due, "{n}: {wait:?}");
        }
    }

    /// A planned change of servers takes about a twentieth of a second, and nobody is to notice more than a fifth.
    #[test]
    fn a_server_that_is_away_for_a_twentieth_of_the_limit_is_found_again_within_a_sixth() {
        let max = Duration::from_secs(1);
        for seed in 0..1000 {
            let mut pause = Pause::new(seed, max);
            let mut found = Duration::ZERO;
            while found < max / 20 {
                found += pause.next();
            }
            assert!(found <= max / 6, "seed {seed}: {found:?}");
        }
    }
}
