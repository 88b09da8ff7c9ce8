//! Members that are texts of one line.

use utoipa::openapi::Schema;

use super::member::{Field, Member, text};

/// Characters of a password.
const MAX_PASSWORD: usize = 128;

/// A text of one line, without the blanks at its ends. The document shows both limits; a reader refuses empty texts and
/// texts of more than `MOST` characters.
pub(crate) struct Line<const LEAST: usize, const MOST: usize>;

impl<const LEAST: usize, const MOST: usize> Member for Line<LEAST, MOST> {
    type Value = String;

    fn schema() -> Schema {
        text().min_length(Some(LEAST).filter(|least| *least > 0)).max_length(Some(MOST)).into()
    }

    fn read(field: &mut Field<'_, '_>) -> Option<String> {
        field.text(MOST)
    }
}

/// A password of at least `LEAST` characters. Blanks at its ends count.
pub(crate) struct Password<const LEAST: usize>;

impl<const LEAST: usize> Member for Password<LEAST> {
    type Value = String;

    fn schema() -> Schema {
        Line::<LEAST, MAX_PASSWORD>::schema()
    }

    fn read(field: &mut Field<'_, '_>) -> Option<String> {
        field.text_without(|text| text, MAX_PASSWORD)
    }
}
