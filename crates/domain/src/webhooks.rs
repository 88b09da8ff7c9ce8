//! Webhooks: requests by which other systems report what happened.

text_enum! {
    /// The system that sent a webhook event.
    pub enum WebhookSource ("source of webhooks") {
        /// A gateway, about one of a tenant's instances.
        Evolution = "evolution",
        /// The payment provider Stripe.
        Stripe = "stripe",
        /// The payment provider Paddle.
        Paddle = "paddle",
    }
}

text_enum! {
    /// The gateway's events that are stored. The others say nothing about a message, and a reconnecting number posts
    /// thousands of `connection.update` a minute.
    pub enum GatewayEventName ("event of the gateway") {
        /// A message left.
        SendMessage = "send.message",
        /// A message has a new status.
        MessagesUpdate = "messages.update",
    }
}
