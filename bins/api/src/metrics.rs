//! The metrics of the API.

regua_boot::metrics! {
    /// The counters and gauges of an API process.
    pub struct ApiMetrics {
        contacts_accepted: CounterVec = "regua_contacts_accepted_total", "Contacts accepted by intake",
            ["tenant_id", "template_type"];
        listings: IntCounterVec = "regua_listings_total", "Listings, by the database that was read", ["read_from"];
        replica_lag: IntGauge = "regua_replica_lag_milliseconds", "Lag of the replica", [];
        requests_refused: IntCounterVec = "regua_requests_refused_total",
            "Requests and connections refused, by the limit that refused them", ["layer"];
        connections_closed: IntCounterVec = "regua_connections_closed_total",
            "Connections that were closed: idle for too long, for room for a new one, or with an unread answer", ["reason"];
        rate_limiter_degraded: IntGauge = "regua_rate_limiter_degraded",
            "1 while Redis is away and each process counts requests by itself", [];
        webhook_events_dropped: IntCounter = "regua_webhook_events_dropped_total",
            "Status events that were deleted unread, because too many events of their number or tenant waited", [];
        key_look_ups: IntCounter = "regua_key_look_ups_total", "Database look-ups of keys and webhook secrets", [];
    }
}
