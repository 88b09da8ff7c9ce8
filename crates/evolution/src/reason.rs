//! Why an outcome is what it is: names for rows, metrics and people, with nothing of the answer's own text in them.

use std::fmt;

/// The reason of an outcome. The name ([`Reason::as_str`]) is kept in rows: never rename one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// No connection could be made (refused, DNS, TLS): the request was never written.
    GatewayUnreachable,
    /// The gateway is at an address that no gateway may have (`GATEWAY_ALLOW_NETWORKS`): no connection was made.
    AddressNotAllowed,
    /// 401. Not permanent: with an instance token Evolution also says so while its own database is down.
    Unauthorized,
    /// 403, from Evolution's guards or from a proxy before it.
    Forbidden,
    /// 404 that names the instance: Evolution does not have it.
    InstanceUnknown,
    /// Any other 404: the address leads to something that is not Evolution's sendText.
    RouteUnknown,
    /// The instance is in Evolution's database but not in its memory.
    InstanceNotLoaded,
    /// The instance has not been connected since Evolution started.
    NeverConnected,
    /// The socket to WhatsApp was never authenticated (no QR code scanned).
    NeverAuthenticated,
    /// The socket to WhatsApp is closed.
    ConnectionClosed,
    /// WhatsApp did not answer the number lookup within 60 s.
    LookupTimedOut,
    /// Evolution 2.4 without an activated licence.
    LicenceRequired,
    /// 500 in Evolution's envelope, for another cause, always raised before the send step.
    GatewayError,
    /// WhatsApp does not know the number.
    NumberNotOnWhatsapp,
    /// The text is blank.
    BlankText,
    /// The request does not fit Evolution's schema.
    InvalidRequest,
    /// The media or its file name cannot be used.
    InvalidMedia,
    /// The frame was not written to the socket within 30 s, or was and nobody noticed.
    WriteTimedOut,
    /// Evolution's own database failed: most likely after the message left, before its row was stored.
    GatewayDatabase,
    /// Time-out, reset, or anything else after the request may have been written.
    NoAnswer,
    /// A success that does not say which message it sent.
    SuccessWithoutId,
    /// A 5xx that is not Evolution's: a proxy's 502 or 504.
    BadGateway,
    /// An answer that stands in no table.
    Unrecognised,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 23] = [
        Self::GatewayUnreachable,
        Self::AddressNotAllowed,
        Self::Unauthorized,
        Self::Forbidden,
        Self::InstanceUnknown,
        Self::RouteUnknown,
        Self::InstanceNotLoaded,
        Self::NeverConnected,
        Self::NeverAuthenticated,
        Self::ConnectionClosed,
        Self::LookupTimedOut,
        Self::LicenceRequired,
        Self::GatewayError,
        Self::NumberNotOnWhatsapp,
        Self::BlankText,
        Self::InvalidRequest,
        Self::InvalidMedia,
        Self::WriteTimedOut,
        Self::GatewayDatabase,
        Self::NoAnswer,
        Self::SuccessWithoutId,
        Self::BadGateway,
        Self::Unrecognised,
    ];

    /// The name in rows, in the API and in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GatewayUnreachable => "gateway_unreachable",
            Self::AddressNotAllowed => "address_not_allowed",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::InstanceUnknown => "instance_unknown",
            Self::RouteUnknown => "route_unknown",
            Self::InstanceNotLoaded => "instance_not_loaded",
            Self::NeverConnected => "never_connected",
            Self::NeverAuthenticated => "never_authenticated",
            Self::ConnectionClosed => "connection_closed",
            Self::LookupTimedOut => "lookup_timed_out",
            Self::LicenceRequired => "licence_required",
            Self::GatewayError => "gateway_error",
            Self::NumberNotOnWhatsapp => "number_not_on_whatsapp",
            Self::BlankText => "blank_text",
            Self::InvalidRequest => "invalid_request",
            Self::InvalidMedia => "invalid_media",
            Self::WriteTimedOut => "write_timed_out",
            Self::GatewayDatabase => "gateway_database",
            Self::NoAnswer => "no_answer",
            Self::SuccessWithoutId => "success_without_id",
            Self::BadGateway => "bad_gateway",
            Self::Unrecognised => "unrecognised",
        }
    }

    /// Whether a kept reason ([`Reason::as_str`]) is that of an answer which Evolution gives after the message has left, as
    /// far as anybody can tell: its own database failed, and it is written to after the send alone. It proves nothing, but
    /// such a message must not be sent again by itself.
    pub fn probably_left(kept: &str) -> bool {
        kept == Self::GatewayDatabase.as_str()
    }

    /// Whether the next send through this instance would most likely end the same way, so that its state is worth a
    /// look before anything else is sent.
    pub const fn suggests_instance_down(self) -> bool {
        matches!(
            self,
            Self::GatewayUnreachable
                | Self::AddressNotAllowed
                | Self::Unauthorized
                | Self::InstanceUnknown
                | Self::RouteUnknown
                | Self::InstanceNotLoaded
                | Self::NeverConnected
                | Self::NeverAuthenticated
                | Self::ConnectionClosed
                | Self::LicenceRequired
        )
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_reason_has_a_name_of_its_own_in_snake_case() {
        let names: HashSet<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(names.len(), Reason::ALL.len());
        assert!(names.iter().all(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')));
    }
}
