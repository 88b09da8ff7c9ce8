//! States and kinds of tenants, sessions and actors, and the reasons of an erasure.

text_enum! {
    /// Whether a tenant may use the fleet.
    pub enum TenantStatus ("status") {
        /// Intake and sending are open.
        Active = "active",
        /// The platform has stopped intake and sending.
        Suspended = "suspended",
    }
}

text_enum! {
    /// What kind of client a session belongs to.
    pub enum SessionKind ("session kind") {
        /// A browser, with a cookie; ends when it is idle.
        Console = "console",
        /// A program, with tokens.
        Api = "api",
    }
}

text_enum! {
    /// What ended a session.
    pub enum SessionEnd ("end of a session") {
        /// The user logged out.
        Logout = "logout",
        /// A refresh token was used twice.
        Reuse = "reuse",
        /// The user changed the password.
        Password = "password",
        /// An owner disabled the user or ended the session.
        Administrator = "administrator",
    }
}

text_enum! {
    /// Why a debtor's data is erased. A free text could put the debtor's name into the audit log.
    pub enum ErasureReason ("reason") {
        /// The debtor asked for it.
        Requested = "requested",
        /// The debtor has withdrawn the consent.
        ConsentWithdrawn = "consent_withdrawn",
        /// The data is no longer needed.
        PurposeEnded = "purpose_ended",
        /// An authority demands it.
        Authority = "authority",
    }
}

text_enum! {
    /// Who made a change, in the audit log.
    pub enum ActorKind ("actor kind") {
        /// A user.
        User = "user",
        /// An API key.
        ApiKey = "api_key",
        /// An operator of the machine, by `regua`.
        CommandLine = "command_line",
        /// An unauthenticated caller, such as a failed login.
        Nobody = "nobody",
    }
}
