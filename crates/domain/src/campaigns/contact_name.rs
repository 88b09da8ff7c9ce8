//! A contact's name as ERPs hold it, and its forms in a message. `numbers` leaves out what is no name, `form` writes the
//! rest, and `words` has the lists.

mod form;
mod numbers;
mod words;

use std::fmt;

use self::form::{Form, FormKind};
use super::quoted::Quoted;
use crate::charset::{from_code_page_850, is_damaged, mend_charset};
use crate::text::{CodePoint, fold_whitespace, printable, refused_character};
use crate::{PhoneNumber, Reading, Text, present, trim_blanks};

const MAX_CHARACTERS: usize = 200;
const SHOWN_CHARACTERS: usize = 60;

/// A person's or an organisation's name: 1 to 200 characters, white space folded, no control characters. Debug hides it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ContactName {
    posted: String,
    form: Form,
}

impl ContactName {
    /// Reads a name as ERPs store it, and warns about what no message shows or what was assumed.
    pub fn read(text: &str) -> Result<Reading<Self>, ContactNameError> {
        let text = present(text).ok_or(ContactNameError::Empty)?;
        let mended = std::iter::successors(mended(text), |text| mended(text)).last();
        let posted = checked(mended.as_deref().unwrap_or(text))?;
        let separated = numbers::separate(&posted);
        if !separated.name.contains(char::is_alphabetic) {
            return Err(without_letters(&posted));
        }
        let form = Form::of(&separated.name);
        let shown = printable(&form.shown, SHOWN_CHARACTERS);
        let kind = form.kind;
        let mut reading = Reading::certain(Self { posted, form });
        if mended.is_some() {
            reading = reading.warn("name_mended", Text::of("name-mended").with("name", &shown));
        }
        if !separated.left_out.is_empty() {
            let text = Text::of("name-number-left-out").with("left_out", separated.left_out.join(", "));
            reading = reading.warn("name_number_left_out", text.with("name", &shown));
        }
        if may_be_damaged(&shown) {
            reading = reading.warn("name_may_be_damaged", Text::of("name-may-be-damaged").with("name", &shown));
        }
        Ok(match kind {
            FormKind::Plain => reading,
            FormKind::Turned => reading.warn("name_turned", Text::of("name-turned").with("name", &shown)),
            FormKind::Estate => reading.warn("name_estate", Text::of("name-estate").with("name", &shown)),
        })
    }

    /// [`read`](Self::read) without the warnings.
    pub fn parse(text: &str) -> Result<Self, ContactNameError> {
        Self::read(text).map(|reading| reading.value)
    }

    /// The stored form: the posted text with white space folded, and mended where it was decoded twice. The ERP's codes
    /// stay in it, so that an operator finds the contact by them.
    pub fn as_str(&self) -> &str {
        &self.posted
    }

    /// The form in a message, without codes, CPF and CNPJ: a person's name in capitals or in lower case gets mixed
    /// case, `MARIA DA SILVA` as `Maria da Silva`. Organisations and names in mixed case stay.
    pub fn display(&self) -> &str {
        &self.form.shown
    }

    /// A person's first name without titles. An organisation, an estate and a doubtful name are greeted with the whole
    /// of [`display`](Self::display).
    pub fn first_name(&self) -> &str {
        &self.form.greeting
    }
}

impl fmt::Debug for ContactName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}***", self.posted.chars().find(|first| first.is_alphabetic()).unwrap_or('?'))
    }
}

/// A hard space between words may hide that the text was decoded twice.
fn mended(text: &str) -> Option<String> {
    mend_charset(text).or_else(|| mend_charset(&fold_whitespace(text)))
}

/// The text with white space folded, if all its letters can be read.
fn checked(text: &str) -> Result<String, ContactNameError> {
    let folded = fold_whitespace(trim_blanks(text));
    match folded.chars().count() {
        0 => return Err(ContactNameError::Empty),
        1..=MAX_CHARACTERS => (),
        _ => return Err(ContactNameError::TooLong),
    }
    if is_damaged(&folded) {
        let text = Quoted::new(&folded);
        return Err(match from_code_page_850(&folded) {
            Some(meant) => ContactNameError::WrongCharset { text, suggestion: Quoted::whole(&meant) },
            None => ContactNameError::Damaged { text },
        });
    }
    match refused_character(trim_blanks(text), &[]) {
        Some((_, character)) => Err(ContactNameError::InvalidCharacters { character: CodePoint(character) }),
        None => Ok(folded),
    }
}

fn without_letters(posted: &str) -> ContactNameError {
    match posted {
        _ if posted.contains('@') => ContactNameError::Email,
        _ if PhoneNumber::parse(posted).is_ok() => ContactNameError::Phone,
        _ => ContactNameError::NoLetters,
    }
}

/// `Jo?o`, and `Simäes`, where code page 850 has `õ` and Windows-1252 `ä`.
fn may_be_damaged(name: &str) -> bool {
    let characters: Vec<char> = name.chars().collect();
    let is_question = |three: &[char]| matches!(three, [a, '?', b] if a.is_alphabetic() && b.is_alphabetic());
    characters.windows(3).any(is_question) || name.contains("äe")
}

input_error! {
    /// Why a text is not a name.
    pub enum ContactNameError {
        Empty = "name_empty", "the name is empty";
        TooLong = "name_too_long", "the name has more than 200 characters";
        InvalidCharacters { character: CodePoint } = "name_invalid_characters", "the name holds the character {character}";
        Damaged { text: Quoted } = "name_damaged", "letters of the name are lost";
        WrongCharset { text: Quoted, suggestion: Quoted } = "name_wrong_charset",
            "the name was decoded with the wrong character set";
        NoLetters = "name_no_letters", "the name has no letters";
        Email = "name_email", "the name is an e-mail address";
        Phone = "name_phone", "the name is a telephone number";
    }
}

#[cfg(test)]
mod tests;
