//! The process's metrics. The first three names and their labels are the seed's, to the letter.

use prometheus::{
    CounterVec, Encoder, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
    TextEncoder,
};

/// All metrics of one process. Cloning shares them.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    /// Attempts by what became of them: `sent`, `not_sent`, `refused`, `unknown`.
    pub messages_sent: CounterVec,
    /// Seconds from the request to the gateway's answer.
    pub send_duration: HistogramVec,
    /// Unfinished queues by state.
    pub active_queues: GaugeVec,
    /// Contacts accepted by intake.
    pub contacts_accepted: CounterVec,
    /// Lanes this worker holds.
    pub lanes_held: IntGauge,
    /// Doorbells that wait in the outbox.
    pub outbox_waiting: IntGauge,
    /// Lanes lost to another worker, or to time.
    pub leases_lost: IntCounter,
    /// Lanes let go because this worker held more than its share.
    pub lanes_given: IntCounter,
    /// Lanes taken that another worker had let go.
    pub lanes_taken_over: IntCounter,
    /// Attempts of unknown outcome that were decided, by what did: `gateway_history`, `webhook`, `resent`, `gave_up`.
    pub unconfirmed_settled: IntCounterVec,
    /// Contacts of which the gateway proved a second message.
    pub messages_doubled: IntCounter,
    /// Rows that were erased or deleted because their time was over, by what they were.
    pub data_erased: IntCounterVec,
    /// Listings, by where they were read: `replica` or `primary`.
    pub listings: IntCounterVec,
    /// Milliseconds by which the replica is behind.
    pub replica_lag: IntGauge,
    /// Requests that the API refused because there were too many, by what refused them.
    pub requests_refused: IntCounterVec,
    /// 1 while the API's processes cannot limit rates together, because Redis is away.
    pub rate_limiter_degraded: IntGauge,
    /// Look-ups of API keys and webhook secrets in the database.
    pub key_look_ups: IntCounter,
}

impl Metrics {
    /// Registers all metrics in a registry of their own.
    ///
    /// # Errors
    /// Never in practice: the names are constants and the registry is new.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let metrics = Self {
            messages_sent: CounterVec::new(
                Opts::new("billing_messages_sent_total", "Attempts to send, by outcome"),
                &["tenant_id", "template_type", "status"],
            )?,
            send_duration: HistogramVec::new(
                HistogramOpts::new("billing_send_duration_seconds", "Seconds from the request to the gateway's answer")
                    .buckets(vec![0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0]),
                &["tenant_id", "template_type"],
            )?,
            active_queues: GaugeVec::new(
                Opts::new("billing_active_queues", "Unfinished queues, by state"),
                &["tenant_id", "status"],
            )?,
            contacts_accepted: CounterVec::new(
                Opts::new("regua_contacts_accepted_total", "Contacts accepted by intake"),
                &["tenant_id", "template_type"],
            )?,
            lanes_held: IntGauge::new("regua_lanes_held", "Lanes that this worker holds")?,
            outbox_waiting: IntGauge::new("regua_outbox_waiting", "Doorbells that wait to be published")?,
            leases_lost: IntCounter::new("regua_leases_lost_total", "Lanes lost to another worker, or to time")?,
            lanes_given: IntCounter::new("regua_lanes_given_total", "Lanes let go for workers that held fewer")?,
            lanes_taken_over: IntCounter::new(
                "regua_lanes_taken_over_total",
                "Lanes taken that another worker had let go",
            )?,
            unconfirmed_settled: IntCounterVec::new(
                Opts::new(
                    "regua_unconfirmed_settled_total",
                    "Attempts of unknown outcome that were decided, by what did",
                ),
                &["settled_by"],
            )?,
            messages_doubled: IntCounter::new(
                "regua_messages_doubled_total",
                "Contacts of which the gateway proved a second message",
            )?,
            data_erased: IntCounterVec::new(
                Opts::new(
                    "regua_data_erased_total",
                    "Rows erased or deleted because their time was over, by what they were",
                ),
                &["what"],
            )?,
            listings: IntCounterVec::new(
                Opts::new("regua_listings_total", "Listings, by where they were read"),
                &["read_from"],
            )?,
            replica_lag: IntGauge::new("regua_replica_lag_milliseconds", "By how much the replica is behind")?,
            requests_refused: IntCounterVec::new(
                Opts::new("regua_requests_refused_total", "Requests refused as too many, by what refused them"),
                &["layer"],
            )?,
            rate_limiter_degraded: IntGauge::new(
                "regua_rate_limiter_degraded",
                "1 while Redis is away and each process limits rates by itself",
            )?,
            key_look_ups: IntCounter::new("regua_key_look_ups_total", "Look-ups of keys and secrets in the database")?,
            registry,
        };
        metrics.register()?;
        Ok(metrics)
    }

    fn register(&self) -> prometheus::Result<()> {
        self.registry.register(Box::new(self.messages_sent.clone()))?;
        self.registry.register(Box::new(self.send_duration.clone()))?;
        self.registry.register(Box::new(self.active_queues.clone()))?;
        self.registry.register(Box::new(self.contacts_accepted.clone()))?;
        self.registry.register(Box::new(self.lanes_held.clone()))?;
        self.registry.register(Box::new(self.outbox_waiting.clone()))?;
        self.registry.register(Box::new(self.unconfirmed_settled.clone()))?;
        self.registry.register(Box::new(self.messages_doubled.clone()))?;
        self.registry.register(Box::new(self.lanes_given.clone()))?;
        self.registry.register(Box::new(self.lanes_taken_over.clone()))?;
        self.registry.register(Box::new(self.data_erased.clone()))?;
        self.registry.register(Box::new(self.listings.clone()))?;
        self.registry.register(Box::new(self.replica_lag.clone()))?;
        self.registry.register(Box::new(self.requests_refused.clone()))?;
        self.registry.register(Box::new(self.rate_limiter_degraded.clone()))?;
        self.registry.register(Box::new(self.key_look_ups.clone()))?;
        self.registry.register(Box::new(self.leases_lost.clone()))
    }

    /// Everything in Prometheus' text format.
    pub fn text(&self) -> String {
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "metrics could not be written");
        }
        String::from_utf8(text).unwrap_or_default()
    }
}
