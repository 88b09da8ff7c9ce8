//! The metrics of a worker. The product's requirements prescribe the names and labels of the first two.

regua_boot::metrics! {
    /// A worker's metrics.
    pub struct WorkerMetrics {
        messages_sent: CounterVec = "billing_messages_sent_total", "Attempts to send, by outcome",
            ["tenant_id", "template_type", "status"];
        send_duration: HistogramVec = "billing_send_duration_seconds", "Seconds from the request to the gateway's answer",
            ["tenant_id", "template_type"];
        sends_under_way: IntGauge = "regua_sends_under_way", "Requests to gateways that hold a permit of the budget", [];
        sends_delayed: IntCounterVec = "regua_sends_delayed_total",
            "Requests to gateways that waited for the budget of their tenant or of the worker", ["layer"];
        requests_without_socket: IntCounter = "regua_requests_without_socket_total",
            "Requests to gateways for which this machine had no socket", [];
        lanes_held: IntGauge = "regua_lanes_held", "Lanes that this worker holds", [];
        leases_lost: IntCounter = "regua_leases_lost_total", "Leases that this worker did not renew in time", [];
        lanes_given: IntCounter = "regua_lanes_given_total", "Lanes released for workers below their target", [];
        lanes_taken_over: IntCounter = "regua_lanes_taken_over_total", "Offered lanes that this worker took", [];
    }
}
