//! Guards CSV cells against spreadsheet formulas: a spreadsheet evaluates a cell that begins with `=`.

use std::borrow::Cow;

/// Prefixes an apostrophe to a cell that begins like a formula or with an apostrophe, so that [`unguarded`] restores
/// the exact cell. Phone numbers begin with `+` and are guarded too.
pub(crate) fn guarded(cell: &str) -> Cow<'_, str> {
    if is_formula(cell) { Cow::Owned(format!("'{cell}")) } else { Cow::Borrowed(cell) }
}

/// The cell without its guard; a cell without a guard is returned unchanged.
pub(crate) fn unguarded(cell: &str) -> &str {
    cell.strip_prefix('\'').filter(|rest| is_formula(rest)).unwrap_or(cell)
}

/// A reader may trim white space, so that is ignored.
fn is_formula(cell: &str) -> bool {
    cell.starts_with(begins_a_formula) || cell.trim_start().starts_with(begins_a_formula)
}

/// OWASP's list with the full-width forms, and the apostrophe that guards.
fn begins_a_formula(first: char) -> bool {
    matches!(first, '=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '＝' | '＋' | '－' | '＠' | '\'')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guarded_formula_cell_is_restored() {
        for first in ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", "'", "'=", " =", " '="] {
            let cell = format!("{first}cmd|' /C calc'!A0");
            let guarded = guarded(&cell).into_owned();
            assert_eq!(guarded, format!("'{cell}"));
            assert_eq!(unguarded(&guarded), cell);
        }
        for cell in ["", "NF-123", "1-2", "a=b", "d'Ávila"] {
            assert_eq!(guarded(cell), cell);
            assert_eq!(unguarded(cell), cell);
        }
        assert_eq!(unguarded("'t Hooft"), "'t Hooft");
    }
}
