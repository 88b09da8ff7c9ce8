//! What can be wrong with a message that is made from a good template.

use super::error::explain_active;
use crate::Language;

/// Why a message cannot be made from a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// A variable that is printed is not there.
    #[error("the variable {name:?} is missing")]
    MissingVariable {
        /// Its name.
        name: String,
    },
    /// Nothing to read is left.
    #[error("the message is blank")]
    Blank,
    /// Above 4096 characters.
    #[error("the message has more than 4096 characters")]
    TooLong,
    /// The variables made something active of a good template: a script, or a link that is none of the web's.
    #[error("{found} is not allowed in a message")]
    ForbiddenMarkup {
        /// What was found.
        found: String,
    },
    /// The engine failed otherwise; should not happen.
    #[error("the template engine failed: {message}")]
    Engine {
        /// The engine's words.
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

    /// What is wrong and how to mend it.
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
