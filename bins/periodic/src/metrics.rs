//! The metrics of periodic. The name and labels of the first are the seed's, to the letter.

regua_boot::metrics! {
    /// What periodic counts.
    pub struct PeriodicMetrics {
        active_queues: GaugeVec = "billing_active_queues", "Unfinished queues, by state", ["tenant_id", "status"];
        doorbells_waiting: IntGauge = "regua_outbox_waiting", "Doorbells that wait to be published", [];
        unconfirmed_settled: IntCounterVec = "regua_unconfirmed_settled_total",
            "Attempts of unknown outcome that were decided, by what did", ["settled_by"];
        messages_doubled: IntCounter = "regua_messages_doubled_total",
            "Contacts with a second message that the gateway proved", [];
        data_erased: IntCounterVec = "regua_data_erased_total",
            "Rows erased or deleted because their time was over, by what they were", ["what"];
    }
}
