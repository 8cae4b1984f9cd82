//! How long single operations took, to two digits, whatever their number.

use hdrhistogram::Histogram;

use crate::sample::Figure;

/// A histogram of nanoseconds.
#[derive(Clone, Debug)]
pub struct Latencies(Histogram<u64>);

impl Latencies {
    /// An empty one; it can hold up to a minute.
    pub fn new() -> Self {
        Self(Histogram::new_with_bounds(1, 60_000_000_000, 2).expect("the bounds are in order"))
    }

    /// Notes one operation.
    #[inline]
    pub fn record(&mut self, nanos: u64) {
        self.0.saturating_record(nanos);
    }

    /// All of them in one.
    pub fn merged(all: Vec<Self>) -> Self {
        let mut sum = Self::new();
        for one in all {
            sum.0.add(one.0).expect("all have the same bounds");
        }
        sum
    }

    /// The named quantiles as figures of a sample; none of a histogram that saw nothing.
    pub fn figures(&self, named: [(Figure, f64); 3]) -> impl Iterator<Item = (Figure, f64)> {
        let is_empty = self.0.is_empty();
        named
            .into_iter()
            .filter(move |_| !is_empty)
            .map(|(figure, quantile)| (figure, self.0.value_at_quantile(quantile) as f64))
    }
}

impl Default for Latencies {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_two_threads_are_those_of_all_operations() {
        let (mut one, mut two) = (Latencies::new(), Latencies::new());
        (0..990).for_each(|_| one.record(10));
        (0..10).for_each(|_| two.record(5000));
        let named = [(Figure::P50Ns, 0.5), (Figure::P99Ns, 0.99), (Figure::P999Ns, 0.999)];
        let figures: Vec<f64> =
            Latencies::merged(vec![one, two]).figures(named).map(|(_, value)| value).collect();
        assert_eq!(figures[..2], [10.0, 10.0]);
        assert!((4950.0..5050.0).contains(&figures[2]), "{figures:?}");
    }
}
