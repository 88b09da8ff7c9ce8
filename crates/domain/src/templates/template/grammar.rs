//! Checks a template's blocks and text, and collects its variables.

use std::collections::BTreeSet;

use super::tags::{Block, Piece, PieceKind, Tag, Wrong, pieces};
use super::{MAX_CHARACTERS, TemplateError, TemplateProblem, markup};
use crate::text::{CodePoint, refused_character};

const MAX_DEPTH: usize = 8;
/// Most tags, with the ends of blocks and `else`; limits the rendered text.
const MAX_TAGS: usize = 256;

pub(super) fn check(source: &str) -> Result<BTreeSet<String>, TemplateError> {
    let found = check_characters(source).and_then(|()| {
        let pieces = pieces(source)?;
        check_count(&pieces)?;
        markup::check(&pieces)?;
        check_content(&pieces)?;
        check_blocks(&pieces)
    });
    found.map_err(|(at, problem)| TemplateError::at(source, at, problem))
}

fn check_characters(source: &str) -> Result<(), Wrong> {
    if let Some((at, _)) = source.char_indices().nth(MAX_CHARACTERS) {
        return Err((at, TemplateProblem::TooLong));
    }
    match refused_character(source, &['\n', '\t']) {
        Some((at, character)) => Err((at, TemplateProblem::ForbiddenCharacter { character: CodePoint(character) })),
        None => Ok(()),
    }
}

fn check_count(pieces: &[Piece<'_>]) -> Result<(), Wrong> {
    match pieces.iter().filter(|piece| matches!(piece.kind, PieceKind::Tag(_))).nth(MAX_TAGS) {
        Some(piece) => Err((piece.at, TemplateProblem::TooManyTags)),
        None => Ok(()),
    }
}

fn check_content(pieces: &[Piece<'_>]) -> Result<(), Wrong> {
    let has_content = pieces.iter().any(|piece| match &piece.kind {
        PieceKind::Text(text) => !text.trim().is_empty(),
        PieceKind::Tag(tag) => matches!(tag, Tag::Variable(_)),
        PieceKind::Comment => false,
    });
    // A wrong block is a more useful problem than the empty template.
    let has_blocks = pieces.iter().any(|piece| matches!(piece.kind, PieceKind::Tag(_)));
    if has_content || (has_blocks && check_blocks(pieces).is_err()) { Ok(()) } else { Err((0, TemplateProblem::Empty)) }
}

struct Opened {
    block: Block,
    at: usize,
    has_else: bool,
}

fn check_blocks(pieces: &[Piece<'_>]) -> Result<BTreeSet<String>, Wrong> {
    let mut open: Vec<Opened> = Vec::new();
    let mut names = BTreeSet::new();
    for piece in pieces {
        let PieceKind::Tag(tag) = &piece.kind else { continue };
        match tag {
            Tag::Variable(name) => names.insert((*name).to_owned()),
            Tag::Open(_, _) if open.len() == MAX_DEPTH => return Err((piece.at, TemplateProblem::TooDeep)),
            Tag::Open(block, name) => {
                open.push(Opened { block: *block, at: piece.at, has_else: false });
                names.insert((*name).to_owned())
            }
            Tag::Else => switch_branch(open.last_mut()).map_err(|problem| (piece.at, problem))?,
            Tag::Close(block) => close(open.pop(), *block).map_err(|problem| (piece.at, problem))?,
        };
    }
    match open.pop() {
        Some(unclosed) => {
            Err((unclosed.at, TemplateProblem::UnclosedBlock { helper: unclosed.block.as_str().to_owned() }))
        }
        None => Ok(names),
    }
}

fn switch_branch(opened: Option<&mut Opened>) -> Result<bool, TemplateProblem> {
    let opened = opened.ok_or(TemplateProblem::ElseOutsideBlock)?;
    if opened.has_else {
        return Err(TemplateProblem::SecondElse);
    }
    opened.has_else = true;
    Ok(true)
}

fn close(opened: Option<Opened>, block: Block) -> Result<bool, TemplateProblem> {
    let closed = block.as_str().to_owned();
    match opened {
        None => Err(TemplateProblem::UnopenedBlock { helper: closed }),
        Some(opened) if opened.block != block => {
            Err(TemplateProblem::MismatchedClose { opened: opened.block.as_str().to_owned(), closed })
        }
        Some(_) => Ok(true),
    }
}
