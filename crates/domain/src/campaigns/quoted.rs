//! A refused text, as its error repeats it to the caller.

use std::fmt;

use crate::text::printable;

const MOST_CHARACTERS: usize = 40;

/// The beginning of a refused text without invisible characters. Debug hides it: the columns of a table may be
/// exchanged, so that a text of any field may be a name or a phone number.
#[derive(Clone, PartialEq, Eq)]
pub struct Quoted(String);

impl Quoted {
    pub(super) fn new(text: &str) -> Self {
        Self(printable(text, MOST_CHARACTERS))
    }

    /// A text that the caller can send instead.
    pub(super) fn whole(text: &str) -> Self {
        Self(printable(text, usize::MAX))
    }
}

/// For the text to the caller only.
impl fmt::Display for Quoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Quoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Quoted({} bytes)", self.0.len())
    }
}
