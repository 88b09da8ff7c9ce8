//! The variations of one template, so that an instance does not send thousands of equal texts (the product's
//! requirements).

use super::{MessageTemplate, TemplateError};
use crate::{Text, choose_variation};

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

    /// A contact's variation and its number; see [`choose_variation`].
    pub fn choose(&self, key: &[u8]) -> (u8, &MessageTemplate) {
        let variation = choose_variation(key, self.count());
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
