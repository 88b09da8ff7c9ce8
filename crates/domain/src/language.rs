//! The two languages in which the fleet explains itself to people.

/// The language of a sentence for a person. Brazilian Portuguese unless asked otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// pt-BR.
    #[default]
    Portuguese,
    /// English.
    English,
}

impl Language {
    /// Picks from an `Accept-Language` header: the supported language with the highest weight, pt-BR where none is.
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

    /// The one of two sentences that is in this language.
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
    fn the_highest_weight_wins_and_portuguese_is_the_default() {
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
