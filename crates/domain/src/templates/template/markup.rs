//! Refuses templates with active text (see `active_text`), also where a tag, a comment or a variable is in its middle.
//! The values of variables are checked in the message.

use super::TemplateProblem;
use super::tags::{Piece, PieceKind, Tag, Wrong};
use crate::templates::active_text::{ANYTHING, Found, Glyph, active_in, decode};

/// Checks the text twice: with an unknown value for each variable, and without the variables.
pub(super) fn check(pieces: &[Piece<'_>]) -> Result<(), Wrong> {
    let glyphs = glyphs(pieces);
    let without: Vec<Glyph> = glyphs.iter().copied().filter(|glyph| glyph.character != ANYTHING).collect();
    let found: Option<Found> =
        [active_in(&glyphs), active_in(&without)].into_iter().flatten().min_by_key(|(at, _)| *at);
    match found {
        Some((at, found)) => Err((at, TemplateProblem::ForbiddenMarkup { found })),
        None => Ok(()),
    }
}

/// Comments and block tags are not in the message, so the texts around them are joined.
fn glyphs(pieces: &[Piece<'_>]) -> Vec<Glyph> {
    let mut glyphs = Vec::new();
    for piece in pieces {
        match &piece.kind {
            PieceKind::Text(text) => decode(text, piece.at, &mut glyphs),
            PieceKind::Tag(Tag::Variable(_)) => glyphs.push(Glyph { character: ANYTHING, at: piece.at }),
            PieceKind::Tag(_) | PieceKind::Comment => {}
        }
    }
    glyphs
}
