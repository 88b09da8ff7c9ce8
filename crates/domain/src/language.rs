//! The two languages of texts for people.

/// The language of a text; Brazilian Portuguese by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// pt-BR.
    #[default]
    Portuguese,
    /// English.
    English,
}

impl Language {
    /// The supported language of the highest weight in an `Accept-Language` header, else pt-BR.
    pub fn negotiate(accept_language: Option<&str>) -> Self {
        let mut best = (0.0_f32, Self::default());
        for entry in accept_language.unwrap_or_default().split(',') {
            let mut parts = entry.split(';');
            let tag = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
            let weight = parts.find_map(|part| part.trim().strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
            let language = match tag.split('-').next() {
                Some("pt") => Self::Portuguese,
                Some("en") => Self::English,
                _ => continue,
            };
            if weight > best.0 {
                best = (weight, language);
            }
        }
        best.1
    }

    /// The text in this language.
    pub fn pick<T>(self, portuguese: T, english: T) -> T {
        match self {
            Self::Portuguese => portuguese,
            Self::English => english,
        }
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
