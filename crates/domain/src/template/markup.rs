//! Refuses templates with something active in them (`active_text` says what that is), also where a tag, a comment or a
//! variable stands in its middle. What a variable adds is seen in the message itself.

use super::TemplateProblem;
use super::tags::{Piece, PieceKind, Tag, Wrong};
use crate::active_text::{ANYTHING, Found, Glyph, active_in, decode};

/// Read twice: once with something unknown in every variable's place, and once with nothing there.
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

/// Comments and block tags leave no trace in a message, so what stands around them is read as one.
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
