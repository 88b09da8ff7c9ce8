//! Percentiles by nearest rank over all samples: every percentile is a measured sample.

use std::time::Duration;

/// Samples in ascending order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    /// Durations in milliseconds.
    pub(crate) fn milliseconds(durations: impl IntoIterator<Item = Duration>) -> Self {
        durations.into_iter().map(|duration| duration.as_secs_f64() * 1000.0).collect()
    }

    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    /// The smallest sample that at least `percent` % of all samples do not exceed; 0 without samples.
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0.get(rank - 1).copied().unwrap_or_default()
    }

    pub(crate) fn median(&self) -> f64 {
        self.percentile(50)
    }

    pub(crate) fn p99(&self) -> f64 {
        self.percentile(99)
    }
}

impl FromIterator<f64> for Samples {
    fn from_iter<I: IntoIterator<Item = f64>>(samples: I) -> Self {
        let mut samples: Vec<_> = samples.into_iter().collect();
        samples.sort_by(f64::total_cmp);
        Self(samples)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentile_is_a_sample_by_nearest_rank() {
        let hundred: Samples = (1..=100).rev().map(f64::from).collect();
        assert_eq!((hundred.median(), hundred.p99(), hundred.percentile(100)), (50.0, 99.0, 100.0));
        let five: Samples = [15.0, 20.0, 35.0, 40.0, 50.0].into_iter().collect();
        assert_eq!([5, 30, 40, 50, 100].map(|percent| five.percentile(percent)), [15.0, 20.0, 20.0, 35.0, 50.0]);
        // The maximum, of fewer than a hundred samples.
        assert_eq!((five.p99(), five.len()), (50.0, 5));
        assert_eq!(Samples::default().p99(), 0.0);
    }
}
