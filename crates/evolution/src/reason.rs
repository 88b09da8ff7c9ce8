//! The reasons of outcomes, for rows, metrics and the API. A reason holds no text of the answer.

use std::fmt;

/// The reason of an outcome. Rows store the name ([`Reason::as_str`]), so a name never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// No connection (refused, DNS, TLS): the request was never written.
    GatewayUnreachable,
    /// No connection, because no gateway may have that address (`GATEWAY_ALLOW_NETWORKS`).
    AddressNotAllowed,
    /// No connection, because this machine has no descriptor or no memory for a socket. It says nothing about the gateway.
    NoSocket,
    /// 401. May be temporary: Evolution also refuses an instance's token while its own database is down.
    Unauthorized,
    /// 403, from Evolution's guards or from a proxy.
    Forbidden,
    /// 404 that names the instance: Evolution does not have it.
    InstanceUnknown,
    /// Any other 404: the address is not that of an Evolution API.
    RouteUnknown,
    /// The instance is in Evolution's database but not in its memory.
    InstanceNotLoaded,
    /// The instance has not been connected since Evolution started.
    NeverConnected,
    /// The socket to WhatsApp was never authenticated (no QR code was scanned).
    NeverAuthenticated,
    /// The socket to WhatsApp is closed.
    ConnectionClosed,
    /// WhatsApp did not answer the number lookup within 60 s.
    LookupTimedOut,
    /// Evolution 2.4 without an activated licence.
    LicenceRequired,
    /// 500 in Evolution's envelope for another cause, raised before the send step.
    GatewayError,
    /// WhatsApp does not know the number.
    NumberNotOnWhatsapp,
    /// The text is blank.
    BlankText,
    /// The request does not fit Evolution's schema.
    InvalidRequest,
    /// The media or its file name cannot be used.
    InvalidMedia,
    /// Evolution did not see the frame written to the socket within 30 s.
    WriteTimedOut,
    /// Evolution's own database failed, most likely after the message left and before its row was stored.
    GatewayDatabase,
    /// Timeout or reset after the request may have been written.
    NoAnswer,
    /// A success without a message id.
    SuccessWithoutId,
    /// A 5xx that is not Evolution's: a proxy's 502 or 504.
    BadGateway,
    /// An answer that is not in the table.
    Unrecognised,
}

impl Reason {
    /// All reasons.
    pub const ALL: [Self; 24] = [
        Self::GatewayUnreachable,
        Self::AddressNotAllowed,
        Self::NoSocket,
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
            Self::NoSocket => "no_socket",
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

    /// The reason that the tenant of an instance may read. It is one for every host that is no Evolution API: forbidden,
    /// unknown, silent, or another service. A tenant chooses the host, and separate reasons would show which names and
    /// ports exist inside the network of this machine.
    #[must_use]
    pub const fn disclosed(self) -> Self {
        match self {
            Self::AddressNotAllowed
            | Self::NoAnswer
            | Self::Forbidden
            | Self::RouteUnknown
            | Self::BadGateway
            | Self::Unrecognised => Self::GatewayUnreachable,
            other => other,
        }
    }

    /// Whether a stored reason ([`Reason::as_str`]) suggests that the message left: Evolution writes to its database
    /// only after the send. The reason is no proof, but the tenant's rule must not resend such a contact.
    pub fn probably_left(reason: &str) -> bool {
        reason == Self::GatewayDatabase.as_str()
    }

    /// Whether the next send through the instance would most likely end the same way, so that its state should be
    /// checked first.
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
    fn reason_names_are_unique_and_in_snake_case() {
        let names: HashSet<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(names.len(), Reason::ALL.len());
        assert!(names.iter().all(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')));
    }
}
