//! The variations of one template, so that an instance does not send thousands of equal texts (the product's
//! requirements).

use super::{MessageTemplate, TemplateError};
use crate::Text;
use crate::stable_hash::stable_hash;

const MAX_VARIATIONS: usize = 5;

/// One to five checked templates.
#[derive(Clone, Debug)]
pub struct Variations(Vec<MessageTemplate>);

impl Variations {
    /// Checks every variation. The error names the first invalid one.
    #[expect(clippy::needless_pass_by_value, reason = "callers have just read the texts and have no more use for them")]
    pub fn parse(sources: Vec<String>) -> Result<Self, VariationsError> {
        if !(1..=MAX_VARIATIONS).contains(&sources.len()) {
            return Err(VariationsError::Count { count: sources.len() });
        }
        let numbered = (1_u8..).zip(&sources);
        let parsed = numbered.map(|(variation, source)| {
            MessageTemplate::parse(source).map_err(|error| VariationsError::Template { variation, error })
        });
        parsed.collect::<Result<_, _>>().map(Self)
    }

    /// Number of variations: 1 to 5.
    pub fn count(&self) -> u8 {
        u8::try_from(self.0.len()).unwrap_or_default()
    }

    /// The variation with this number, from 1.
    pub fn get(&self, variation: u8) -> Option<&MessageTemplate> {
        self.0.get(usize::from(variation).checked_sub(1)?)
    }

    /// The variation, and its number, for the contact that `key` identifies (by its id, or by batch and external id). The
    /// variations are chosen evenly, and a replay or a retry of the contact gets the same one.
    pub fn choose(&self, key: &[u8]) -> (u8, &MessageTemplate) {
        let variation = number_for(key, self.count());
        (variation, &self.0[usize::from(variation) - 1])
    }

    /// All variations in order.
    pub fn iter(&self) -> impl Iterator<Item = &MessageTemplate> {
        self.0.iter()
    }
}

/// Why texts are not variations.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VariationsError {
    /// None, or more than five.
    #[error("{count} variations; 1 to 5 are allowed")]
    Count {
        /// Number of texts.
        count: usize,
    },
    /// A text is not a template.
    #[error("variation {variation}, {error}")]
    Template {
        /// Counted from 1.
        variation: u8,
        /// The error of the text.
        error: TemplateError,
    },
}

impl VariationsError {
    /// Stable name in problem documents.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Count { .. } => "template_variation_count",
            Self::Template { error, .. } => error.code(),
        }
    }

    /// The explanation for people.
    pub fn text(&self) -> Text {
        match self {
            Self::Count { count } => Text::of_code(self.code()).with("count", count).with("most", MAX_VARIATIONS),
            Self::Template { variation, error } => {
                Text::of("template-variation").with("variation", variation).with_text("problem", error.text())
            }
        }
    }
}

/// A number from 1 to `count`, by a hash of the key.
fn number_for(key: &[u8], count: u8) -> u8 {
    let chosen = stable_hash("variation", &[key]) % u64::from(count.max(1));
    u8::try_from(chosen).unwrap_or_default() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variation_is_used_about_equally() {
        for count in 1..=5_u8 {
            let mut seen = [0_u32; 5];
            for key in 0..10_000_u32 {
                seen[usize::from(number_for(&key.to_be_bytes(), count)) - 1] += 1;
            }
            let expected = 10_000.0 / f64::from(count);
            let chi_square: f64 =
                seen[..usize::from(count)].iter().map(|seen| (f64::from(*seen) - expected).powi(2) / expected).sum();
            // 18.5 is the 99.9 % quantile for four degrees of freedom.
            assert!(chi_square < 18.5, "{count} variations: {seen:?}");
        }
    }

    #[test]
    fn choice_is_the_same_in_every_release() {
        let chosen: Vec<u8> = ["a", "b", "NF-123", "NF-124", ""].map(|key| number_for(key.as_bytes(), 5)).to_vec();
        assert_eq!(chosen, [2, 3, 4, 3, 2]);
    }

    #[test]
    fn zero_variations_choose_the_first() {
        assert_eq!(number_for(b"x", 0), 1);
    }
}
