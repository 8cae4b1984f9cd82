//! Keys by Zipf's law: the key of rank r is drawn with a weight of 1 / r^s.
//!
//! Walker's alias method: one table look-up and one comparison a draw, exact for any exponent. The ranks are
//! scattered over the key space by a permutation, or the popular blocks would be neighbours on the device.

use crate::rng::Rng;

/// A sampler of keys below a bound.
#[derive(Debug)]
pub struct Zipf {
    columns: Vec<Column>,
    keys: Vec<u32>,
}

/// One column of the alias table: holds `rank` itself up to the height `share`, and `alias` above it.
#[derive(Clone, Copy, Debug)]
struct Column {
    share: f32,
    alias: u32,
}

impl Zipf {
    /// A sampler of `len` keys with exponent `exponent`; `rng` decides which keys are popular.
    pub fn new(len: u32, exponent: f64, rng: &mut Rng) -> Self {
        Self { columns: columns(&weights(len, exponent)), keys: rng.permutation(len) }
    }

    /// Draws a key.
    #[inline]
    pub fn draw(&self, rng: &mut Rng) -> u32 {
        let rank = rng.below(self.columns.len() as u32);
        let column = self.columns[rank as usize];
        let rank = if rng.unit() < f64::from(column.share) { rank } else { column.alias };
        self.keys[rank as usize]
    }
}

/// The probability of each rank.
fn weights(len: u32, exponent: f64) -> Vec<f64> {
    let mut weights: Vec<f64> = (1..=len).map(|rank| f64::from(rank).powf(-exponent)).collect();
    let total: f64 = weights.iter().sum();
    weights.iter_mut().for_each(|weight| *weight /= total);
    weights
}

/// Fills each column that is lower than the mean from one that is higher.
fn columns(weights: &[f64]) -> Vec<Column> {
    let mut heights: Vec<f64> = weights.iter().map(|weight| weight * weights.len() as f64).collect();
    let mut columns: Vec<Column> =
        (0..weights.len()).map(|rank| Column { share: 1.0, alias: rank as u32 }).collect();
    let (mut low, mut high): (Vec<usize>, Vec<usize>) =
        (0..weights.len()).partition(|&rank| heights[rank] < 1.0);
    while let (Some(&donor), Some(taker)) = (high.last(), low.pop()) {
        columns[taker] = Column { share: heights[taker] as f32, alias: donor as u32 };
        heights[donor] -= 1.0 - heights[taker];
        if heights[donor] < 1.0 {
            high.pop();
            low.push(donor);
        }
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_popular_keys_take_the_share_that_the_law_gives_them() {
        const KEYS: u32 = 1000;
        const DRAWS: usize = 400_000;
        let mut rng = Rng::new(3, 0);
        let zipf = Zipf::new(KEYS, 0.9, &mut rng);
        let mut counts = vec![0_usize; KEYS as usize];
        for _ in 0..DRAWS {
            counts[zipf.draw(&mut rng) as usize] += 1;
        }
        let law = weights(KEYS, 0.9);
        for rank in [0, 1, 9, 99] {
            let drawn = counts[zipf.keys[rank] as usize] as f64 / DRAWS as f64;
            assert!(
                (drawn / law[rank] - 1.0).abs() < 0.1,
                "rank {rank}: drew {drawn}, law says {}",
                law[rank]
            );
        }
    }
}
