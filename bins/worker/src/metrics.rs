//! The metrics of a worker. The names and labels of the first two are the seed's, to the letter.

regua_boot::metrics! {
    /// What a worker counts.
    pub struct WorkerMetrics {
        messages_sent: CounterVec = "billing_messages_sent_total", "Attempts to send, by outcome",
            ["tenant_id", "template_type", "status"];
        send_duration: HistogramVec = "billing_send_duration_seconds", "Seconds from the request to the gateway's answer",
            ["tenant_id", "template_type"];
        lanes_held: IntGauge = "regua_lanes_held", "Lanes that this worker holds", [];
        leases_lost: IntCounter = "regua_leases_lost_total", "Lanes lost to another worker, or to time", [];
        lanes_given: IntCounter = "regua_lanes_given_total", "Lanes let go for workers that held fewer", [];
        lanes_taken_over: IntCounter = "regua_lanes_taken_over_total", "Lanes taken that another worker had let go", [];
    }
}
