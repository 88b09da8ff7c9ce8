//! The languages of texts for people, and the data of a text. The words are in the catalogue of
//! `regua-api`.

use std::borrow::Cow;
use std::fmt;

text_enum! {
    /// The language of a text, by its tag; Brazilian Portuguese by default.
    #[derive(Default)]
    pub enum Language ("language") {
        /// Brazilian Portuguese.
        #[default]
        Portuguese = "pt-BR",
        /// English.
        English = "en",
    }
}

impl Language {
    /// The supported language of the highest weight in an `Accept-Language` header, else pt-BR. Regions do not count.
    pub fn negotiate(accept_language: Option<&str>) -> Self {
        let primary = |tag: &str| tag.split('-').next().unwrap_or_default().to_ascii_lowercase();
        let mut best = (0.0_f32, Self::default());
        for entry in accept_language.unwrap_or_default().split(',') {
            let mut parts = entry.split(';');
            let wanted = primary(parts.next().unwrap_or_default().trim());
            let weight = parts.find_map(|part| part.trim().strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
            let language = Self::ALL.into_iter().find(|language| primary(language.as_str()) == wanted);
            if let Some(language) = language.filter(|_| weight > best.0) {
                best = (weight, language);
            }
        }
        best.1
    }
}

/// A text for people without its words: the id of a message in the catalogue, and the data that the message shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    id: Cow<'static, str>,
    arguments: Vec<(&'static str, Argument)>,
}

/// What a text shows under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Argument {
    /// Shown unchanged.
    Data(String),
    /// Shown in the language of the whole text.
    Text(Text),
}

impl Text {
    /// A text by the id of its message.
    pub const fn of(id: &'static str) -> Self {
        Self { id: Cow::Borrowed(id), arguments: Vec::new() }
    }

    /// The text of a code: the message of `phone_empty` is `phone-empty`.
    pub fn of_code(code: &str) -> Self {
        Self { id: Cow::Owned(code.replace('_', "-")), arguments: Vec::new() }
    }

    /// Adds data.
    pub fn with(mut self, name: &'static str, data: impl fmt::Display) -> Self {
        self.arguments.push((name, Argument::Data(data.to_string())));
        self
    }

    /// Adds a text that is a part of this one.
    pub fn with_text(mut self, name: &'static str, text: Self) -> Self {
        self.arguments.push((name, Argument::Text(text)));
        self
    }

    /// The id of the message.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The data and the parts, by name.
    pub fn arguments(&self) -> &[(&'static str, Argument)] {
        &self.arguments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn highest_weight_wins_and_portuguese_is_the_default() {
        let cases = [
            (None, Language::Portuguese),
            (Some(""), Language::Portuguese),
            (Some("en"), Language::English),
            (Some("en-US,en;q=0.9,pt;q=0.8"), Language::English),
            (Some("en;q=0.5, pt-BR"), Language::Portuguese),
            (Some("fr, en;q=0.1"), Language::English),
            (Some("*;q=1, xx"), Language::Portuguese),
            (Some("en;q=0"), Language::Portuguese),
        ];
        for (header, expected) in cases {
            assert_eq!(Language::negotiate(header), expected, "{header:?}");
        }
    }
}
