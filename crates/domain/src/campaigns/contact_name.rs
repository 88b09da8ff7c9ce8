//! A contact's name, and its form in a message where the ERP stores it in capitals.

use std::fmt;

use crate::text::{CodePoint, fold_whitespace, refused_character};

const MAX_CHARACTERS: usize = 200;
/// Words in lower case inside a person's name.
const PARTICLES: [&str; 10] = ["de", "da", "do", "das", "dos", "e", "di", "du", "del", "von"];
/// Words of companies' names, as registered in Brazil.
const COMPANY_WORDS: [&str; 15] = [
    "LTDA",
    "LTDA.",
    "S/A",
    "SA",
    "S.A.",
    "S.A",
    "ME",
    "EPP",
    "MEI",
    "EIRELI",
    "CIA",
    "CIA.",
    "&",
    "CONDOMINIO",
    "CONDOMÍNIO",
];

/// A person's or a company's name: 1 to 200 characters, white space folded, no control characters. Debug hides it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ContactName(String);

impl ContactName {
    /// Folds white space and checks the text.
    pub fn parse(text: &str) -> Result<Self, ContactNameError> {
        if let Some((_, character)) = refused_character(text.trim(), &[]) {
            return Err(ContactNameError::InvalidCharacters { character: CodePoint(character) });
        }
        let folded = fold_whitespace(text);
        match folded.chars().count() {
            0 => Err(ContactNameError::Empty),
            1..=MAX_CHARACTERS => Ok(Self(folded)),
            _ => Err(ContactNameError::TooLong),
        }
    }

    /// The stored form: the posted text with white space folded.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form in a message: a person's name in capitals gets mixed case, `MARIA DA SILVA` as `Maria da Silva`. Names
    /// in mixed case and companies stay.
    pub fn display(&self) -> String {
        if self.is_company() || !is_shouted(&self.0) {
            return self.0.clone();
        }
        let words = self.0.split(' ').enumerate().map(|(index, word)| written_like_a_name(word, index == 0));
        words.collect::<Vec<_>>().join(" ")
    }

    /// A person's first name, or a company's whole name.
    pub fn first_name(&self) -> String {
        let name = self.display();
        if self.is_company() {
            return name;
        }
        name.split(' ').next().unwrap_or_default().to_owned()
    }

    fn is_company(&self) -> bool {
        let upper = self.0.to_uppercase();
        upper.split(' ').skip(1).any(|word| COMPANY_WORDS.contains(&word))
            || upper.split(' ').next().is_some_and(|word| word.starts_with("CONDOM"))
            || upper.chars().any(|character| character.is_ascii_digit())
    }
}

impl fmt::Debug for ContactName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}***", self.0.chars().next().unwrap_or('?'))
    }
}

fn is_shouted(name: &str) -> bool {
    name.chars().any(char::is_uppercase) && !name.chars().any(char::is_lowercase)
}

fn written_like_a_name(word: &str, is_first: bool) -> String {
    let lower = word.to_lowercase();
    if !is_first && PARTICLES.contains(&lower.as_str()) {
        return lower;
    }
    if is_numeral(word) {
        return word.to_owned();
    }
    let mut begins = true;
    let mut written = String::with_capacity(word.len());
    for letter in lower.chars() {
        if begins {
            written.extend(letter.to_uppercase());
        } else {
            written.push(letter);
        }
        begins = matches!(letter, '\'' | '’' | '-' | '.' | '(');
    }
    written
}

/// `II`, `III`, `IV` after a name.
fn is_numeral(word: &str) -> bool {
    matches!(word, "II" | "III" | "IV")
}

input_error! {
    /// Why a text is not a name.
    pub enum ContactNameError {
        Empty = "name_empty", "the name is empty";
        TooLong = "name_too_long", "the name has more than 200 characters";
        InvalidCharacters { character: CodePoint } = "name_invalid_characters", "the name holds the character {character}";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_in_capitals_gets_mixed_case() {
        for (text, name, first) in [
            ("MARIA DA SILVA", "Maria da Silva", "Maria"),
            ("  JOÃO   D'ÁVILA E SOUZA ", "João D'Ávila e Souza", "João"),
            ("ANA-MARIA DOS SANTOS FILHO", "Ana-Maria dos Santos Filho", "Ana-Maria"),
            ("JOSÉ CARLOS III", "José Carlos III", "José"),
            ("DE PAULA", "De Paula", "De"),
            ("Maria da Silva", "Maria da Silva", "Maria"),
            ("maria", "maria", "maria"),
            ("McDonald", "McDonald", "McDonald"),
            ("ACME LTDA", "ACME LTDA", "ACME LTDA"),
            ("PADARIA SÃO JOSÉ ME", "PADARIA SÃO JOSÉ ME", "PADARIA SÃO JOSÉ ME"),
            ("Silva & Filhos", "Silva & Filhos", "Silva & Filhos"),
            ("POSTO 7", "POSTO 7", "POSTO 7"),
        ] {
            let parsed = ContactName::parse(text).unwrap();
            assert_eq!((parsed.display().as_str(), parsed.first_name().as_str()), (name, first));
        }
    }

    #[test]
    fn invalid_name_is_refused() {
        for (text, code) in [
            ("", "name_empty"),
            (" \t\n", "name_empty"),
            ("Maria\0", "name_invalid_characters"),
            ("Maria\nSilva", "name_invalid_characters"),
            ("Maria\u{202e}", "name_invalid_characters"),
            (&"a".repeat(201), "name_too_long"),
        ] {
            assert_eq!(ContactName::parse(text).unwrap_err().code(), code);
        }
        assert!(ContactName::parse(&"á".repeat(200)).is_ok());
    }

    #[test]
    fn debug_hides_the_name() {
        assert_eq!(format!("{:?}", ContactName::parse("Maria da Silva").unwrap()), "M***");
    }
}
