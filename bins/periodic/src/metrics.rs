//! The metrics of periodic. The product's requirements prescribe the name and the labels of the first.

regua_boot::metrics! {
    /// Periodic's metrics.
    pub struct PeriodicMetrics {
        active_queues: GaugeVec = "billing_active_queues", "Unfinished queues, by state", ["tenant_id", "status"];
        doorbells_waiting: IntGauge = "regua_outbox_waiting", "Doorbells that wait to be published", [];
        unconfirmed_settled: IntCounterVec = "regua_unconfirmed_settled_total",
            "Unknown attempts that were resolved, by resolution", ["settled_by"];
        messages_doubled: IntCounter = "regua_messages_doubled_total",
            "Contacts for which the gateway proves a second message", [];
        webhook_events_dead: IntCounter = "regua_webhook_events_dead_total",
            "Webhook events that became dead letters, because their reader failed three times", [];
        data_erased: IntCounterVec = "regua_data_erased_total",
            "Rows that retention or a request erased or deleted, by kind", ["what"];
    }
}
