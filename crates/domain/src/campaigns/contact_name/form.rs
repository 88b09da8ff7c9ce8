//! The form of a name in a message, and what a person is greeted with. In doubt it is the whole name.

use super::words::{is_estate, is_organisation, is_particle, is_title};

/// Longest given name before which a family name is turned, in words.
const MAX_GIVEN_WORDS: usize = 3;

#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Form {
    pub(super) shown: String,
    pub(super) greeting: String,
    pub(super) kind: FormKind,
}

/// What the name was read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum FormKind {
    /// A person, an organisation, or a doubtful name.
    Plain,
    /// `SILVA, JOSE`, read as `Jose Silva`.
    Turned,
    /// The estate of a person or of a company.
    Estate,
}

impl Form {
    pub(super) fn of(name: &str) -> Self {
        let words: Vec<&str> = name.split(' ').collect();
        if is_estate(&words) {
            return Self::whole(in_mixed_case(name), FormKind::Estate);
        }
        if is_organisation(&words) || name.contains(char::is_numeric) {
            return Self::whole(name.to_owned(), FormKind::Plain);
        }
        let written = in_mixed_case(name);
        let (shown, kind) = match turned(&written) {
            Some(turned) => (turned, FormKind::Turned),
            None => (written, FormKind::Plain),
        };
        let greeting = greeting(&shown).unwrap_or(&shown).to_owned();
        Self { shown, greeting, kind }
    }

    fn whole(name: String, kind: FormKind) -> Self {
        Self { greeting: name.clone(), shown: name, kind }
    }
}

/// The first name after titles; none: initials, a family name, or two persons.
fn greeting(name: &str) -> Option<&str> {
    let mut words = name.split(' ').skip_while(|word| is_title(word));
    let (first, second) = (words.next()?, words.next().unwrap_or_default());
    let is_whole_word = first.chars().filter(|letter| letter.is_alphabetic()).count() > 1
        && !first.contains(['.', '/', '(', ')', '"', '+']);
    let names_two = name.contains([',', ';', '/']) || matches!(second, "e" | "E" | "ou" | "OU" | "Ou" | "+" | "-");
    (is_whole_word && !is_particle(first) && !names_two).then_some(first)
}

/// `Da Silva, Jose` as `Jose da Silva`: one family name, and given names.
fn turned(name: &str) -> Option<String> {
    let (family, given) = name.split_once(',').map(|(family, given)| (family.trim(), given.trim()))?;
    let is_name = |word: &&str| {
        word.chars().filter(|letter| letter.is_alphabetic()).count() > 1
            && word.chars().all(|other| other.is_alphabetic() || matches!(other, '\'' | '’' | '-' | '.'))
    };
    let particles = family.split(' ').take_while(|word| is_particle(word)).count();
    let is_family = family.split(' ').all(|word| is_name(&word)) && family.split(' ').count() == particles + 1;
    let given_words: Vec<&str> = given.split(' ').collect();
    let is_given = given_words.len() <= MAX_GIVEN_WORDS
        && given_words.first().is_some_and(|first| is_name(first) && !is_particle(first) && !is_suffix(first))
        && given_words.iter().all(|word| is_name(word) || is_particle(word));
    let written = |(index, word): (usize, &str)| if index < particles { word.to_lowercase() } else { word.to_owned() };
    let family: Vec<String> = family.split(' ').enumerate().map(written).collect();
    (is_family && is_given).then(|| format!("{given} {}", family.join(" ")))
}

/// `SILVA, JR` is no person called Jr.
fn is_suffix(word: &str) -> bool {
    let word = word.trim_end_matches('.').to_lowercase();
    matches!(word.as_str(), "jr" | "junior" | "j\u{fa}nior" | "filho" | "neto" | "sobrinho")
}

/// A name in capitals or in lower case gets mixed case, `MARIA DA SILVA` as `Maria da Silva`, whatever the case of its
/// titles. Mixed case stays.
fn in_mixed_case(name: &str) -> String {
    let letters = || name.split(' ').skip_while(|word| is_title(word)).flat_map(str::chars);
    // The ordinals are lower case for Unicode.
    let has_lowercase = letters().any(|letter| letter.is_lowercase() && !matches!(letter, 'ª' | 'º'));
    if has_lowercase && letters().any(char::is_uppercase) {
        return name.to_owned();
    }
    let words = name.split(' ').enumerate().map(|(index, word)| written_like_a_name(word, index == 0));
    words.collect::<Vec<_>>().join(" ")
}

fn written_like_a_name(word: &str, is_first: bool) -> String {
    if !is_first && is_particle(word) {
        return word.to_lowercase();
    }
    if matches!(word, "II" | "III" | "IV") {
        return word.to_owned();
    }
    let mut begins = true;
    let mut written = String::with_capacity(word.len());
    for letter in word.to_lowercase().chars() {
        if begins {
            written.extend(letter.to_uppercase());
        } else {
            written.push(letter);
        }
        begins = matches!(letter, '\'' | '’' | '-' | '.' | '(' | '/' | '"');
    }
    written
}
