//! Splits a template into text, tags and comments, and reads each tag alone. `grammar` checks their order.

use super::TemplateProblem;
use crate::text::{is_template_word, is_variable_name};

/// A piece of a template, and its byte position.
pub(super) struct Piece<'a> {
    pub(super) at: usize,
    pub(super) kind: PieceKind<'a>,
}

pub(super) enum PieceKind<'a> {
    Text(&'a str),
    Tag(Tag<'a>),
    Comment,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Block {
    If,
    Unless,
}

impl Block {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::If => "if",
            Self::Unless => "unless",
        }
    }

    fn read(word: &str) -> Option<Self> {
        [Self::If, Self::Unless].into_iter().find(|block| block.as_str() == word)
    }
}

pub(super) enum Tag<'a> {
    Variable(&'a str),
    Open(Block, &'a str),
    Else,
    Close(Block),
}

/// A problem and its byte position.
pub(super) type Wrong = (usize, TemplateProblem);

pub(super) fn pieces(source: &str) -> Result<Vec<Piece<'_>>, Wrong> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while let Some(rest) = source.get(at..).filter(|rest| !rest.is_empty()) {
        let text = rest.find("{{").map_or(rest, |length| &rest[..length]);
        if !text.is_empty() {
            pieces.push(read_text(text, at, rest.len() > text.len())?);
            at += text.len();
            continue;
        }
        let (piece, length) = read_tag(rest, at)?;
        pieces.push(piece);
        at += length;
    }
    Ok(pieces)
}

fn read_text(text: &str, at: usize, tag_follows: bool) -> Result<Piece<'_>, Wrong> {
    if let Some(stray) = text.find("}}") {
        return Err((at + stray, TemplateProblem::StrayBraces));
    }
    if tag_follows && text.ends_with('\\') {
        return Err((at + text.len() - 1, TemplateProblem::not_allowed("\\{{")));
    }
    Ok(Piece { at, kind: PieceKind::Text(text) })
}

/// Reads a tag or a comment; returns its length too.
fn read_tag(rest: &str, at: usize) -> Result<(Piece<'_>, usize), Wrong> {
    let inner = &rest[2..];
    if inner.starts_with('{') {
        return Err((at, TemplateProblem::not_allowed("{{{")));
    }
    if let Some(comment) = inner.strip_prefix('!') {
        let length = comment_length(comment).ok_or((at, TemplateProblem::UnclosedTag))?;
        return Ok((Piece { at, kind: PieceKind::Comment }, 3 + length));
    }
    let length = inner.find("}}").ok_or((at, TemplateProblem::UnclosedTag))?;
    let body = &inner[..length];
    if body.contains("{{") {
        return Err((at, TemplateProblem::UnclosedTag));
    }
    if inner[length..].starts_with("}}}") {
        return Err((at + 2 + length, TemplateProblem::StrayBraces));
    }
    let tag = read_body(trim(body)).map_err(|problem| (at, problem))?;
    Ok((Piece { at, kind: PieceKind::Tag(tag) }, length + 4))
}

/// The length of a comment after `{{!`, with its end. A comment that begins with `--` also ends with `--`.
fn comment_length(comment: &str) -> Option<usize> {
    let Some(dashed) = comment.trim_start_matches(is_space).strip_prefix("--") else {
        return comment.find("}}").map(|end| end + 2);
    };
    let begins = comment.len() - dashed.len();
    dashed.find("--}}").map(|end| begins + end + 4)
}

/// Whether the engine reads the character as white space in a tag; it does not read a no-break space so.
fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r')
}

fn trim(text: &str) -> &str {
    text.trim_matches(is_space)
}

fn read_body(body: &str) -> Result<Tag<'_>, TemplateProblem> {
    for mark in ["#*", "#>", "#^", ">", "*", "&", "^", "~", "#~", "/~"] {
        if body.starts_with(mark) {
            return Err(TemplateProblem::not_allowed(&format!("{{{{{mark}")));
        }
    }
    if body.ends_with('~') {
        return Err(TemplateProblem::not_allowed("~}}"));
    }
    if let Some(opening) = body.strip_prefix('#') {
        return read_opening(opening.trim_start_matches(is_space));
    }
    if let Some(word) = body.strip_prefix('/') {
        let word = word.trim_start_matches(is_space);
        return Block::read(word).map(Tag::Close).ok_or_else(|| TemplateProblem::unknown_helper(word));
    }
    match body.split_once(is_space) {
        None if body == "else" => Ok(Tag::Else),
        Some(("else", _)) => Err(TemplateProblem::not_allowed("{{else if}}")),
        Some((word, _)) if is_variable_name(word) => Err(TemplateProblem::unknown_helper(word)),
        _ => read_name(body).map(Tag::Variable),
    }
}

fn read_opening(opening: &str) -> Result<Tag<'_>, TemplateProblem> {
    let (word, condition) = opening.split_once(is_space).unwrap_or((opening, ""));
    let block = Block::read(word).ok_or_else(|| TemplateProblem::unknown_helper(word))?;
    let condition = trim(condition);
    if condition.is_empty() {
        return Err(TemplateProblem::MissingCondition { helper: word.to_owned() });
    }
    read_name(condition).map(|name| Tag::Open(block, name))
}

fn read_name(name: &str) -> Result<&str, TemplateProblem> {
    if is_variable_name(name) && !is_template_word(name) {
        return Ok(name);
    }
    Err(TemplateProblem::invalid_name(name))
}
