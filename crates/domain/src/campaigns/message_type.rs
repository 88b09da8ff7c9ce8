//! The three message types.

text_enum! {
    /// The reason of a message. It decides priority, required fields and whether business hours apply.
    pub enum MessageType ("message type") {
        /// The bill is past its due date.
        Overdue = "overdue",
        /// The bill is not due yet.
        Upcoming = "upcoming",
        /// Any other message.
        Notification = "notification",
    }
}

impl MessageType {
    /// Priority in RabbitMQ and within a lane (10, 5 and 1 by the product's requirements).
    pub const fn priority(self) -> u8 {
        match self {
            Self::Overdue => 10,
            Self::Upcoming => 5,
            Self::Notification => 1,
        }
    }

    /// Whether the messages wait for business hours; by the product's requirements notifications are sent at any hour.
    pub const fn keeps_business_hours(self) -> bool {
        !matches!(self, Self::Notification)
    }

    /// Whether the contacts need a due date and an amount.
    pub const fn concerns_a_bill(self) -> bool {
        !matches!(self, Self::Notification)
    }
}
