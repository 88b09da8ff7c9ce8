//! Errors of templates. `render_error` has those of messages.

use crate::Language;
use crate::templates::active_text::explain_active;
use crate::text::printable;

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

    fn explain(&self, language: Language) -> String {
        match self {
            Self::ForbiddenCharacter { character } => {
                let code = format!("U+{:04X}", u32::from(*character));
                language.pick(
                    format!("o caractere invisível {code} não é aceito; apague-o e digite o trecho de novo."),
                    format!("the invisible character {code} is not allowed; delete it and type the passage again."),
                )
            }
            Self::ForbiddenMarkup { found } => explain_active(found, language),
            Self::NotAllowed { construct } => language.pick(
                format!("\"{construct}\" não é aceito. Use só {{{{variavel}}}}, {{{{#if variavel}}}}…{{{{else}}}}…{{{{/if}}}} e {{{{#unless variavel}}}}…{{{{/unless}}}}."),
                format!("\"{construct}\" is not allowed. Use only {{{{variable}}}}, {{{{#if variable}}}}…{{{{else}}}}…{{{{/if}}}} and {{{{#unless variable}}}}…{{{{/unless}}}}."),
            ),
            Self::UnknownHelper { helper } => language.pick(
                format!("\"{helper}\" não é um comando conhecido. Os comandos são if e unless; uma variável é escrita sozinha, como {{{{nome}}}}."),
                format!("\"{helper}\" is no known command. The commands are if and unless; a variable stands alone, such as {{{{nome}}}}."),
            ),
            Self::MissingCondition { helper } => language.pick(
                format!("falta a variável depois de #{helper}. Escreva, por exemplo, {{{{#{helper} valor}}}}."),
                format!("the variable after #{helper} is missing. Write, for example, {{{{#{helper} valor}}}}."),
            ),
            Self::InvalidName { name } => language.pick(
                format!("\"{name}\" não serve como nome de variável. Use letras minúsculas sem acento, dígitos e _, por exemplo {{{{primeiro_nome}}}}."),
                format!("\"{name}\" is no variable name. Use unaccented lower-case letters, digits and _, for example {{{{primeiro_nome}}}}."),
            ),
            Self::UnclosedBlock { helper } => language.pick(
                format!("o bloco {{{{#{helper} …}}}} não é fechado. Acrescente {{{{/{helper}}}}} onde ele termina."),
                format!("the block {{{{#{helper} …}}}} is never closed. Add {{{{/{helper}}}}} where it ends."),
            ),
            Self::UnopenedBlock { helper } => language.pick(
                format!("{{{{/{helper}}}}} não fecha nenhum bloco. Remova-o ou abra {{{{#{helper} variavel}}}} antes."),
                format!("{{{{/{helper}}}}} closes no block. Remove it or open {{{{#{helper} variable}}}} before."),
            ),
            Self::MismatchedClose { opened, closed } => language.pick(
                format!("o bloco aberto é {{{{#{opened} …}}}}, mas está sendo fechado por {{{{/{closed}}}}}. Use {{{{/{opened}}}}}."),
                format!("the open block is {{{{#{opened} …}}}}, but {{{{/{closed}}}}} closes it. Use {{{{/{opened}}}}}."),
            ),
            Self::Syntax { message } => language.pick(
                format!("o modelo não pôde ser lido: {message}."),
                format!("the template cannot be read: {message}."),
            ),
            other => other.explain_fixed(language).to_owned(),
        }
    }

    fn explain_fixed(&self, language: Language) -> &'static str {
        let (portuguese, english) = match self {
            Self::Empty => (
                "o modelo está vazio. Escreva o texto da mensagem.",
                "the template is empty. Write the message's text.",
            ),
            Self::TooLong => (
                "o modelo passa de 4096 caracteres, o limite do WhatsApp. Encurte-o.",
                "the template has more than 4096 characters, WhatsApp's limit. Shorten it.",
            ),
            Self::UnclosedTag => (
                "{{ foi aberto e não fechado. Termine com }}, por exemplo {{nome}}.",
                "{{ was opened and never closed. End it with }}, for example {{nome}}.",
            ),
            Self::StrayBraces => (
                "há chaves }} sobrando. Use exatamente duas de cada lado, por exemplo {{nome}}.",
                "there are braces }} too many. Use exactly two on each side, for example {{nome}}.",
            ),
            Self::ElseOutsideBlock => (
                "{{else}} só pode ficar entre {{#if …}} e {{/if}}, ou {{#unless …}} e {{/unless}}.",
                "{{else}} may only stand between {{#if …}} and {{/if}}, or {{#unless …}} and {{/unless}}.",
            ),
            Self::SecondElse => (
                "cada bloco tem no máximo um {{else}}. Para mais casos, ponha outro {{#if …}} dentro dele.",
                "a block has one {{else}} at most. For more cases put another {{#if …}} inside it.",
            ),
            Self::TooManyTags => (
                "o modelo tem mais de 256 variáveis e comandos. Simplifique-o.",
                "the template has more than 256 variables and commands. Simplify it.",
            ),
            _ => (
                "os blocos passam de oito níveis de profundidade. Simplifique as condições.",
                "blocks are nested more than eight deep. Simplify the conditions.",
            ),
        };
        language.pick(portuguese, english)
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
    pub fn explain(&self, language: Language) -> String {
        let (line, column, problem) = (self.line, self.column, self.problem.explain(language));
        language.pick(
            format!("Linha {line}, coluna {column}: {problem}"),
            format!("Line {line}, column {column}: {problem}"),
        )
    }
}
