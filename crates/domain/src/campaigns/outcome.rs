//! Outcomes of attempts, and what resolves an unknown attempt.

text_enum! {
    /// What an attempt resulted in. Evidence replaces `Unknown`; the others are final.
    pub enum AttemptOutcome ("outcome") {
        /// The message left.
        Sent = "sent",
        /// The message certainly did not leave; the contact may be retried.
        NotSent = "not_sent",
        /// The gateway refuses this message for good.
        Refused = "refused",
        /// It is unknown whether the message left; the contact becomes `unconfirmed`.
        Unknown = "unknown",
    }
}

text_enum! {
    /// Where evidence comes from.
    pub enum EvidenceSource ("source of evidence") {
        /// The outcome of a worker that lost its lane.
        LateAnswer = "late_answer",
        /// The gateway's history of sent messages.
        GatewayHistory = "gateway_history",
        /// A webhook of the gateway.
        Webhook = "webhook",
        /// An operator decision.
        Operator = "operator",
    }
}

text_enum! {
    /// What resolved an unknown attempt; the column and JSON field `settled_by`.
    pub enum Resolution ("resolution") {
        /// The outcome of a worker that lost its lane.
        LateAnswer = "late_answer",
        /// The gateway's history of sent messages.
        GatewayHistory = "gateway_history",
        /// A webhook of the gateway.
        Webhook = "webhook",
        /// An operator decision.
        Operator = "operator",
        /// The contact was resent.
        Resent = "resent",
        /// The last look found nothing; the contact waits for an operator decision.
        GaveUp = "gave_up",
    }
}

impl From<EvidenceSource> for Resolution {
    fn from(source: EvidenceSource) -> Self {
        match source {
            EvidenceSource::LateAnswer => Self::LateAnswer,
            EvidenceSource::GatewayHistory => Self::GatewayHistory,
            EvidenceSource::Webhook => Self::Webhook,
            EvidenceSource::Operator => Self::Operator,
        }
    }
}
