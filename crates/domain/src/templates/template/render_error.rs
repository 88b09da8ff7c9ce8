//! Errors of rendering a valid template.

use crate::Language;
use crate::templates::active_text::explain_active;

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
    pub fn explain(&self, language: Language) -> String {
        match self {
            Self::MissingVariable { name } => language.pick(
                format!("Falta a variável \"{name}\", que o modelo usa. Envie-a em \"variables\" ou ponha o trecho entre {{{{#if {name}}}}} e {{{{/if}}}}."),
                format!("The variable \"{name}\" that the template uses is missing. Send it in \"variables\", or put the passage between {{{{#if {name}}}}} and {{{{/if}}}}."),
            ),
            Self::Blank => language.pick(
                "A mensagem ficou vazia com estes dados. Confira as condições do modelo.".to_owned(),
                "The message is blank with this data. Check the template's conditions.".to_owned(),
            ),
            Self::TooLong => language.pick(
                "A mensagem passa de 4096 caracteres com estes dados. Encurte o modelo ou as variáveis.".to_owned(),
                "The message has more than 4096 characters with this data. Shorten the template or the variables.".to_owned(),
            ),
            Self::ForbiddenMarkup { found } => {
                let explained = explain_active(found, language);
                language.pick(format!("Na mensagem, {explained}"), format!("In the message, {explained}"))
            }
            Self::Engine { message } => language.pick(
                format!("A mensagem não pôde ser montada: {message}."),
                format!("The message could not be made: {message}."),
            ),
        }
    }
}
