//! Durations as the metrics count them, in buckets, and what can be said of them: about how long the half took, and
//! nearly all.

use crate::telemetry::names::{self, Instrument};

/// The upper bounds of the buckets, in seconds; a further bucket has none.
const BOUNDS: &[f64] = match names::HTTP_DURATION.kind {
    Instrument::Histogram(bounds) => bounds,
    _ => &[],
};

/// How many durations fell into each bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Durations(Vec<u64>);

impl Durations {
    /// Adds others.
    pub fn add(&mut self, others: &[u64]) {
        if self.0.len() < others.len() {
            self.0.resize(others.len(), 0);
        }
        for (bucket, more) in self.0.iter_mut().zip(others) {
            *bucket += more;
        }
    }

    /// Those that came since.
    #[must_use]
    pub fn since(&self, earlier: Option<&Self>) -> Self {
        let earlier = earlier.map_or(&[][..], |earlier| &earlier.0).iter();
        let earlier = earlier.copied().chain(std::iter::repeat(0));
        let pairs = self.0.iter().zip(earlier);
        Self(pairs.map(|(now, then)| now.saturating_sub(then)).collect())
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// About the duration that a part of them (0 to 1) did not exceed, in seconds: as if those of a bucket were spread
    /// evenly in it, as Prometheus has it. Infinity beyond the last bound, none if there are none.
    #[must_use]
    pub fn quantile(&self, part: f64) -> Option<f64> {
        let wanted = self.count() as f64 * part;
        let (mut below, mut lower) = (0.0, 0.0);
        for (bucket, count) in self.0.iter().enumerate() {
            let count = *count as f64;
            if count > 0.0 && below + count >= wanted {
                let Some(upper) = BOUNDS.get(bucket) else {
                    return Some(f64::INFINITY);
                };
                return Some(lower + (upper - lower) * ((wanted - below) / count));
            }
            below += count;
            lower = BOUNDS.get(bucket).copied().unwrap_or(lower);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(buckets: &[(usize, u64)]) -> Durations {
        let mut all = vec![0; BOUNDS.len() + 1];
        for (bucket, count) in buckets {
            all[*bucket] = *count;
        }
        Durations(all)
    }

    #[test]
    fn quantiles_are_where_prometheus_sees_them() {
        assert_eq!(Durations::default().quantile(0.5), None);
        assert_eq!(of(&[]).quantile(0.95), None);
        // From 75 to 100 ms.
        assert_eq!(of(&[(5, 100)]).quantile(0.5), Some(0.0875));
        let mixed = of(&[(0, 90), (9, 10)]);
        assert!(mixed.quantile(0.5).unwrap() < 0.005);
        // Half of the ten between 0.75 and 1 s.
        assert!((mixed.quantile(0.95).unwrap() - 0.875).abs() < 1e-9);
        assert_eq!(of(&[(16, 1)]).quantile(0.5), Some(f64::INFINITY));
    }

    #[test]
    fn what_came_since_is_the_difference_and_never_less_than_nothing() {
        let mut now = Durations::default();
        now.add(&[1, 2, 3]);
        now.add(&[1, 0, 0, 4]);
        assert_eq!(now, Durations(vec![2, 2, 3, 4]));
        let then = Durations(vec![1, 5]);
        assert_eq!(now.since(Some(&then)), Durations(vec![1, 0, 3, 4]));
        assert_eq!(now.since(None), now);
    }
}
