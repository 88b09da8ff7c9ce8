//! Errors of templates and of their messages.

use crate::Text;
use crate::templates::active_text::active_text;
use crate::text::{CodePoint, printable};

/// A problem of a template and its position.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {problem}")]
pub struct TemplateError {
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
    /// The problem.
    pub problem: TemplateProblem,
}

input_error! {
    /// A problem of a template. `Syntax` should not happen: Handlebars refuses a template of the subset.
    pub enum TemplateProblem {
        Empty = "template_empty", "the template is empty";
        TooLong = "template_too_long", "the template has more than 4096 characters";
        ForbiddenCharacter { character: CodePoint } = "template_forbidden_character",
            "the character {character} is not allowed";
        ForbiddenMarkup { found: String } = "template_forbidden_markup", "{found} is not allowed",
            with_text problem = active_text(found);
        UnclosedTag = "template_unclosed_tag", "{{{{ is never closed by }}}}";
        StrayBraces = "template_stray_braces", "}}}} closes nothing";
        NotAllowed { construct: String } = "template_not_allowed", "{construct} is not allowed";
        UnknownHelper { helper: String } = "template_unknown_helper",
            "unknown helper {helper:?}: only if and unless are known";
        MissingCondition { helper: String } = "template_missing_condition", "#{helper} needs the name of a variable";
        InvalidName { name: String } = "template_invalid_name",
            "{name:?} is no variable name: use lower-case letters, digits and _";
        UnclosedBlock { helper: String } = "template_unclosed_block", "{{{{#{helper}}}}} is never closed";
        UnopenedBlock { helper: String } = "template_unopened_block", "{{{{/{helper}}}}} closes nothing";
        MismatchedClose { opened: String, closed: String } = "template_mismatched_close",
            "{{{{#{opened}}}}} was opened, but {{{{/{closed}}}}} closes it";
        ElseOutsideBlock = "template_else_outside_block", "{{{{else}}}} is outside of a block";
        SecondElse = "template_second_else", "a block has one {{{{else}}}} at most";
        TooDeep = "template_too_deep", "blocks are nested more than eight deep";
        TooManyTags = "template_too_many_tags", "the template has more than 256 variables and commands";
        Syntax { message: String } = "template_syntax", "the template engine refuses it: {message}";
    }
}

const SHOWN_CHARACTERS: usize = 40;

impl TemplateProblem {
    pub(super) fn not_allowed(construct: &str) -> Self {
        Self::NotAllowed { construct: construct.to_owned() }
    }

    pub(super) fn unknown_helper(helper: &str) -> Self {
        Self::UnknownHelper { helper: printable(helper, SHOWN_CHARACTERS) }
    }

    pub(super) fn invalid_name(name: &str) -> Self {
        Self::InvalidName { name: printable(name, SHOWN_CHARACTERS) }
    }
}

impl TemplateError {
    pub(super) fn at(source: &str, at: usize, problem: TemplateProblem) -> Self {
        let before = source.get(..at).unwrap_or(source);
        let line_begins = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self { line: before.matches('\n').count() + 1, column: before[line_begins..].chars().count() + 1, problem }
    }

    pub(super) fn from_engine(error: &handlebars::TemplateError) -> Self {
        let (line, column) = error.pos().unwrap_or((1, 1));
        Self { line, column, problem: TemplateProblem::Syntax { message: error.reason().to_string() } }
    }

    /// Stable name in problem documents.
    pub fn code(&self) -> &'static str {
        self.problem.code()
    }

    /// The explanation for people, with the position.
    pub fn text(&self) -> Text {
        let text = Text::of("template-position").with("line", self.line).with("column", self.column);
        text.with_text("problem", self.problem.text())
    }
}

input_error! {
    /// Why a template cannot be rendered for a contact. The code is also the contact's reason. `Engine` should not
    /// happen.
    pub enum RenderError {
        MissingVariable { name: String } = "missing_variable", "the variable {name:?} is missing";
        Blank = "message_blank", "the message is blank";
        TooLong = "message_too_long", "the message has more than 4096 characters";
        ForbiddenMarkup { found: String } = "message_forbidden_markup", "{found} is not allowed in a message",
            with_text problem = active_text(found);
        Engine { message: String } = "render_failed", "the template engine failed: {message}";
    }
}
