//! Errors of rendering a valid template.

use crate::Text;
use crate::templates::active_text::active_text;

/// Why a template cannot be rendered for a contact.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// A printed variable is missing.
    #[error("the variable {name:?} is missing")]
    MissingVariable {
        /// Its name.
        name: String,
    },
    /// The message has only white space.
    #[error("the message is blank")]
    Blank,
    /// Above 4096 characters.
    #[error("the message has more than 4096 characters")]
    TooLong,
    /// The variables form active text: a script, or a link that is not of the web.
    #[error("{found} is not allowed in a message")]
    ForbiddenMarkup {
        /// The match.
        found: String,
    },
    /// Any other failure of the engine; should not happen.
    #[error("the template engine failed: {message}")]
    Engine {
        /// The engine's message.
        message: String,
    },
}

impl RenderError {
    /// Stable name in problem documents and as a contact's reason.
    pub fn code(&self) -> &'static str {
        match self {
            Self::MissingVariable { .. } => "missing_variable",
            Self::Blank => "message_blank",
            Self::TooLong => "message_too_long",
            Self::ForbiddenMarkup { .. } => "message_forbidden_markup",
            Self::Engine { .. } => "render_failed",
        }
    }

    /// The explanation for people.
    pub fn text(&self) -> Text {
        let text = Text::of_code(self.code());
        match self {
            Self::MissingVariable { name } => text.with("name", name),
            Self::ForbiddenMarkup { found } => text.with_text("problem", active_text(found)),
            Self::Engine { message } => text.with("message", message),
            Self::Blank | Self::TooLong => text,
        }
    }
}
