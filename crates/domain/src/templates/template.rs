//! Message templates: a small subset of Handlebars. `grammar`, `tags` and `markup` check it when the template is saved,
//! and Handlebars renders it.

mod condition;
mod error;
mod grammar;
mod markup;
mod output;
mod tags;
mod variations;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::LazyLock;

use handlebars::{Context, Handlebars, RenderContext, RenderErrorReason, Renderable, Template, no_escape};

use self::condition::Condition;
use self::output::Bounded;
use crate::templates::active_text::active;
use crate::{Reference, Variables};

pub use error::{RenderError, TemplateError, TemplateProblem};
pub use variations::{Variations, VariationsError};

/// Longest template and longest message, in characters; WhatsApp's own limit for a text.
const MAX_CHARACTERS: usize = 4096;

/// Helpers of Handlebars that are removed; `if` and `unless` stay.
const FOREIGN_HELPERS: [&str; 15] =
    ["each", "with", "lookup", "raw", "log", "eq", "ne", "gt", "gte", "lt", "lte", "and", "or", "not", "len"];

/// The settings of rendering, for all templates. Messages are plain text, so nothing is escaped; a missing variable is
/// an error.
static ENGINE: LazyLock<Handlebars<'static>> = LazyLock::new(|| {
    let mut engine = Handlebars::new();
    engine.set_strict_mode(true);
    engine.register_escape_fn(no_escape);
    for helper in FOREIGN_HELPERS {
        engine.unregister_helper(helper);
    }
    engine.register_helper("if", Box::new(Condition { is_if: true }));
    engine.register_helper("unless", Box::new(Condition { is_if: false }));
    engine
});

/// A checked template.
#[derive(Clone)]
pub struct MessageTemplate {
    source: String,
    compiled: Template,
    variables: BTreeSet<String>,
}

impl MessageTemplate {
    /// Checks a template. Allowed are text, `{{name}}`, `{{#if name}}…{{else}}…{{/if}}`, the same with `unless`, nested
    /// eight deep, and comments. CR LF is rendered as LF.
    pub fn parse(source: &str) -> Result<Self, TemplateError> {
        let text = source.replace("\r\n", "\n");
        let variables = grammar::check(&text)?;
        let compiled = Template::compile(&text).map_err(|error| TemplateError::from_engine(&error))?;
        Ok(Self { source: source.to_owned(), compiled, variables })
    }

    /// Renders the message for one contact. A printed variable must be present. A missing variable in a condition is
    /// false, as are an empty string, `N`, `não`, `FALSO`, zero, amounts of zero and `false`. Variables of the other
    /// branch are not needed.
    pub fn render(&self, variables: &Variables) -> Result<String, RenderError> {
        let message = render(&self.compiled, variables.context())?;
        if message.trim().is_empty() {
            return Err(RenderError::Blank);
        }
        // Each variable was checked alone; two of them, or one and the template, can form a link together.
        match active(&message) {
            Some((_, found)) => Err(RenderError::ForbiddenMarkup { found }),
            None => Ok(message),
        }
    }

    /// Renders the sent message. Where the template does not print the reference, the reference is appended as the
    /// last line, because looks search it.
    pub fn message(&self, variables: &Variables, reference: Reference) -> Result<String, RenderError> {
        let mut message = self.render(variables)?;
        if reference.appears_in(&message) {
            return Ok(message);
        }
        message.truncate(message.trim_end().len());
        message.push_str("\n\nRef. ");
        message.push_str(&reference.to_string());
        fitting(message)
    }

    /// The text of the template.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The names of all variables in tags and conditions.
    pub fn variables(&self) -> &BTreeSet<String> {
        &self.variables
    }
}

impl fmt::Debug for MessageTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageTemplate").field("variables", &self.variables).finish_non_exhaustive()
    }
}

fn fitting(message: String) -> Result<String, RenderError> {
    // Bytes are never fewer than characters, and faster to count.
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
        // The output is in memory, and fails only at its bound.
        RenderErrorReason::IOError(_) => RenderError::TooLong,
        other => RenderError::Engine { message: other.to_string() },
    })?;
    Ok(output.into_text())
}

#[cfg(test)]
mod tests;
