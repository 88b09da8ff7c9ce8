//! What an API key may do.

text_enum! {
    /// A part of the API that an API key may use. The message types of a key also limit `Send`.
    pub enum Scope ("scope") {
        /// Post batches.
        Send = "send",
        /// Pause, resume and cancel queues; decide unconfirmed contacts.
        Control = "control",
        /// Read queues and contacts.
        Read = "read",
    }
}

impl Scope {
    /// The scopes of a key that names none, and of the keys from before scopes. A later scope is never among them.
    pub const DEFAULT: [Self; 3] = [Self::Send, Self::Control, Self::Read];
}
