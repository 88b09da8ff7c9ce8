//! Errors of templates. `render_error` has those of messages.

use crate::Text;
use crate::templates::active_text::active_text;
use crate::text::{code_point, printable};

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

/// A problem of a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateProblem {
    /// No text and no variable.
    #[error("the template is empty")]
    Empty,
    /// Above 4096 characters.
    #[error("the template has more than 4096 characters")]
    TooLong,
    /// A control character, or one that changes the direction of text.
    #[error("the character U+{:04X} is not allowed", u32::from(*character))]
    ForbiddenCharacter {
        /// The character.
        character: char,
    },
    /// Active text, such as a script, an iframe, an event handler, or a link that is not of the web.
    #[error("{found} is not allowed")]
    ForbiddenMarkup {
        /// The match.
        found: String,
    },
    /// `{{` without `}}`.
    #[error("{{{{ is never closed by }}}}")]
    UnclosedTag,
    /// `}}` without `{{`, or a third brace.
    #[error("}}}} closes nothing")]
    StrayBraces,
    /// A construct of Handlebars outside the subset.
    #[error("{construct} is not allowed")]
    NotAllowed {
        /// The construct.
        construct: String,
    },
    /// A helper other than `if` and `unless`.
    #[error("unknown helper {helper:?}: only if and unless are known")]
    UnknownHelper {
        /// The helper's name, cut short.
        helper: String,
    },
    /// `{{#if}}` without a variable.
    #[error("#{helper} needs the name of a variable")]
    MissingCondition {
        /// `if` or `unless`.
        helper: String,
    },
    /// Not `[a-z_][a-z0-9_]*`, or a reserved word.
    #[error("{name:?} is no variable name: use lower-case letters, digits and _")]
    InvalidName {
        /// The name, cut short.
        name: String,
    },
    /// A block without its end.
    #[error("{{{{#{helper}}}}} is never closed")]
    UnclosedBlock {
        /// `if` or `unless`.
        helper: String,
    },
    /// An end without its block.
    #[error("{{{{/{helper}}}}} closes nothing")]
    UnopenedBlock {
        /// `if` or `unless`.
        helper: String,
    },
    /// `{{#if}}…{{/unless}}`.
    #[error("{{{{#{opened}}}}} was opened, but {{{{/{closed}}}}} closes it")]
    MismatchedClose {
        /// The open block.
        opened: String,
        /// The end.
        closed: String,
    },
    /// `{{else}}` outside a block.
    #[error("{{{{else}}}} is outside of a block")]
    ElseOutsideBlock,
    /// Two `{{else}}` in one block.
    #[error("a block has one {{{{else}}}} at most")]
    SecondElse,
    /// Blocks nested more than eight deep.
    #[error("blocks are nested more than eight deep")]
    TooDeep,
    /// More than 256 tags.
    #[error("the template has more than 256 variables and commands")]
    TooManyTags,
    /// Handlebars refuses a template of the subset; should not happen.
    #[error("the template engine refuses it: {message}")]
    Syntax {
        /// The engine's message.
        message: String,
    },
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

    fn text(&self, code: &str) -> Text {
        let text = Text::of_code(code);
        match self {
            Self::ForbiddenCharacter { character } => text.with("character", code_point(*character)),
            Self::ForbiddenMarkup { found } => text.with_text("problem", active_text(found)),
            Self::NotAllowed { construct } => text.with("construct", construct),
            Self::UnknownHelper { helper }
            | Self::MissingCondition { helper }
            | Self::UnclosedBlock { helper }
            | Self::UnopenedBlock { helper } => text.with("helper", helper),
            Self::InvalidName { name } => text.with("name", name),
            Self::MismatchedClose { opened, closed } => text.with("opened", opened).with("closed", closed),
            Self::Syntax { message } => text.with("message", message),
            _ => text,
        }
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
        match self.problem {
            TemplateProblem::Empty => "template_empty",
            TemplateProblem::TooLong => "template_too_long",
            TemplateProblem::ForbiddenCharacter { .. } => "template_forbidden_character",
            TemplateProblem::ForbiddenMarkup { .. } => "template_forbidden_markup",
            TemplateProblem::UnclosedTag => "template_unclosed_tag",
            TemplateProblem::StrayBraces => "template_stray_braces",
            TemplateProblem::NotAllowed { .. } => "template_not_allowed",
            TemplateProblem::UnknownHelper { .. } => "template_unknown_helper",
            TemplateProblem::MissingCondition { .. } => "template_missing_condition",
            TemplateProblem::InvalidName { .. } => "template_invalid_name",
            TemplateProblem::UnclosedBlock { .. } => "template_unclosed_block",
            TemplateProblem::UnopenedBlock { .. } => "template_unopened_block",
            TemplateProblem::MismatchedClose { .. } => "template_mismatched_close",
            TemplateProblem::ElseOutsideBlock => "template_else_outside_block",
            TemplateProblem::SecondElse => "template_second_else",
            TemplateProblem::TooManyTags => "template_too_many_tags",
            TemplateProblem::TooDeep => "template_too_deep",
            TemplateProblem::Syntax { .. } => "template_syntax",
        }
    }

    /// The explanation for people, with the position.
    pub fn text(&self) -> Text {
        let text = Text::of("template-position").with("line", self.line).with("column", self.column);
        text.with_text("problem", self.problem.text(self.code()))
    }
}
