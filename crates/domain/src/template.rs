//! Message templates: a small and closed part of Handlebars, checked when it is saved so that it cannot fail in odd ways
//! when it is sent. Handlebars renders; what may be written at all is decided in `grammar`, `tags` and `markup`.

mod error;
mod grammar;
mod markup;
mod output;
mod render_error;
mod tags;
mod variations;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::LazyLock;

use handlebars::{Context, Handlebars, RenderContext, RenderErrorReason, Renderable, Template, no_escape};

use self::output::Bounded;
use crate::active_text::active;
use crate::{Reference, Variables};

pub(crate) use error::explain_active;
pub use error::{TemplateError, TemplateProblem};
pub use render_error::RenderError;
pub use variations::{Variations, VariationsError};

/// Longest template and longest message, in characters; WhatsApp's own limit for a text.
const MAX_CHARACTERS: usize = 4096;

/// Helpers of Handlebars' own that are taken away. `if` and `unless` stay.
const FOREIGN_HELPERS: [&str; 15] =
    ["each", "with", "lookup", "raw", "log", "eq", "ne", "gt", "gte", "lt", "lte", "and", "or", "not", "len"];

/// Shared by all templates: it holds no template, only how they are rendered. Messages are plain text, so nothing is
/// escaped; a variable that is missing where it is printed is an error.
static ENGINE: LazyLock<Handlebars<'static>> = LazyLock::new(|| {
    let mut engine = Handlebars::new();
    engine.set_strict_mode(true);
    engine.register_escape_fn(no_escape);
    for helper in FOREIGN_HELPERS {
        engine.unregister_helper(helper);
    }
    engine
});

/// A template that was checked. Parse once, render for every contact.
#[derive(Clone)]
pub struct MessageTemplate {
    source: String,
    compiled: Template,
    variables: BTreeSet<String>,
}

impl MessageTemplate {
    /// Checks a template. Allowed are text, `{{name}}`, `{{#if name}}…{{else}}…{{/if}}`, the same with `unless`, nested
    /// eight deep, and comments; CR LF becomes LF.
    ///
    /// # Errors
    /// [`TemplateError`] with the line and the column of what is wrong, both counted from 1.
    pub fn parse(source: &str) -> Result<Self, TemplateError> {
        let source = source.replace("\r\n", "\n");
        let variables = grammar::check(&source)?;
        let compiled = Template::compile(&source).map_err(|error| TemplateError::from_engine(&error))?;
        Ok(Self { source, compiled, variables })
    }

    /// The message for one contact.
    ///
    /// A variable that is printed must be there; one that is only asked about (`{{#if name}}`) may be missing, and
    /// counts as false then, as do an empty string, zero and `false`. What stands in a branch not taken is not needed.
    ///
    /// # Errors
    /// [`RenderError`] where a variable is missing, the message is blank or above 4096 characters, or something active came
    /// of the variables.
    pub fn render(&self, variables: &Variables) -> Result<String, RenderError> {
        let message = render(&self.compiled, variables.context())?;
        if message.trim().is_empty() {
            return Err(RenderError::Blank);
        }
        // Each variable was looked at alone; two of them, or one and the template, can still make a link together.
        match active(&message) {
            Some((_, found)) => Err(RenderError::ForbiddenMarkup { found }),
            None => Ok(message),
        }
    }

    /// The message as it is sent: its reference stands where the template prints it, and is the last line where it does
    /// not, because an attempt of unknown outcome can be found by it alone.
    ///
    /// # Errors
    /// As [`MessageTemplate::render`].
    pub fn message(&self, variables: &Variables, reference: Reference) -> Result<String, RenderError> {
        let mut message = self.render(variables)?;
        if reference.stands_in(&message) {
            return Ok(message);
        }
        message.truncate(message.trim_end().len());
        message.push_str("\n\nRef. ");
        message.push_str(&reference.to_string());
        fitting(message)
    }

    /// The text as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The names of all variables that it prints or asks about.
    pub fn variables(&self) -> &BTreeSet<String> {
        &self.variables
    }

    /// Whether it prints or asks about that variable.
    pub fn uses(&self, name: &str) -> bool {
        self.variables.contains(name)
    }
}

impl fmt::Debug for MessageTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageTemplate").field("variables", &self.variables).finish_non_exhaustive()
    }
}

fn fitting(message: String) -> Result<String, RenderError> {
    // Bytes are never fewer than characters, and quicker to count.
    if message.len() > MAX_CHARACTERS && message.chars().count() > MAX_CHARACTERS {
        return Err(RenderError::TooLong);
    }
    Ok(message)
}

fn render(compiled: &Template, context: &Context) -> Result<String, RenderError> {
    let mut output = Bounded::new(MAX_CHARACTERS);
    let rendered = compiled.render(&ENGINE, context, &mut RenderContext::new(None), &mut output);
    rendered.map_err(|error| match error.reason() {
        RenderErrorReason::MissingVariable(Some(name)) => RenderError::MissingVariable { name: name.clone() },
        // The output writes to memory, and fails where it is full and nowhere else.
        RenderErrorReason::IOError(_) => RenderError::TooLong,
        other => RenderError::Engine { message: other.to_string() },
    })?;
    Ok(output.into_text())
}

#[cfg(test)]
mod tests;
