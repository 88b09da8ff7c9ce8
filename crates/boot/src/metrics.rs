//! The registry of a process's metrics. Each program declares its own metrics with [`metrics!`](crate::metrics), which
//! names each of them once.

use prometheus::core::Collector;
use prometheus::{
    CounterVec, Encoder, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, TextEncoder,
};

/// Upper bounds of a histogram of seconds.
const SECONDS: [f64; 13] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0];

/// The metrics of one process. Clones share them, so that several programs in one process have one `/metrics`.
#[derive(Clone, Debug, Default)]
pub struct Registry(prometheus::Registry);

impl Registry {
    /// Creates and registers a metric. Fails when the registry has a metric of this name.
    #[doc(hidden)]
    pub fn register<M: Metric>(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<M> {
        let metric = M::create(Opts::new(name, help), labels)?;
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    /// The metrics in Prometheus' text format.
    pub fn text(&self) -> String {
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.0.gather(), &mut text) {
            tracing::error!(%error, "metrics could not be written");
        }
        String::from_utf8(text).unwrap_or_default()
    }
}

/// Declares the metrics of a program: a struct with one field a metric, and `new`, which registers them all. Each line
/// is `field: Kind = "name", "help", [labels];`, and the help text documents the field.
#[macro_export]
macro_rules! metrics {
    (
        $(#[$attribute:meta])*
        pub struct $metrics:ident {
            $($field:ident: $kind:ident = $name:literal, $help:literal, [$($label:literal),*];)*
        }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Debug)]
        pub struct $metrics {
            $(#[doc = $help] pub $field: $crate::metric_kinds::$kind,)*
            registry: $crate::Registry,
        }

        impl $metrics {
            /// Registers the metrics. Fails when the registry has a metric of one of these names.
            pub fn new(registry: &$crate::Registry) -> $crate::metric_kinds::Result<Self> {
                Ok(Self {
                    $($field: registry.register($name, $help, &[$($label),*])?,)*
                    registry: registry.clone(),
                })
            }

            /// The registry of the metrics.
            pub const fn registry(&self) -> &$crate::Registry {
                &self.registry
            }
        }
    };
}

/// A kind of metric that [`Registry::register`] makes.
#[doc(hidden)]
pub trait Metric: Collector + Clone + 'static {
    /// A metric of this name with these labels.
    fn create(opts: Opts, labels: &[&str]) -> prometheus::Result<Self>;
}

macro_rules! kinds {
    ($($kind:ident: |$opts:ident, $labels:ident| $create:expr;)*) => {
        $(impl Metric for $kind {
            fn create($opts: Opts, $labels: &[&str]) -> prometheus::Result<Self> {
                $create
            }
        })*
    };
}

kinds! {
    IntCounter: |opts, _labels| Self::with_opts(opts);
    IntGauge: |opts, _labels| Self::with_opts(opts);
    CounterVec: |opts, labels| Self::new(opts, labels);
    IntCounterVec: |opts, labels| Self::new(opts, labels);
    GaugeVec: |opts, labels| Self::new(opts, labels);
    HistogramVec: |opts, labels| Self::new(HistogramOpts::from(opts).buckets(SECONDS.to_vec()), labels);
}

/// The kinds of metrics, for [`metrics!`](crate::metrics).
#[doc(hidden)]
pub mod kinds {
    pub use prometheus::{CounterVec, GaugeVec, HistogramVec, IntCounter, IntCounterVec, IntGauge, Result};
}
