//! The values that a refused text may mean.

use std::fmt::{self, Display};

use crate::Text;

/// The values that a refused text may mean, at most two, the more probable first; none where nothing is recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meant<T>(Vec<T>);

impl<T> Meant<T> {
    /// The values.
    pub fn values(&self) -> &[T] {
        &self.0
    }
}

impl<T: PartialEq> FromIterator<T> for Meant<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        let mut meant = Vec::new();
        for value in values {
            if !meant.contains(&value) {
                meant.push(value);
            }
        }
        meant.truncate(2);
        Self(meant)
    }
}

impl<T: Display> Meant<T> {
    /// The values, ready to be sent; `form` describes the expected form where there is none.
    pub(super) fn text_or(&self, form: Text) -> Text {
        match self.values() {
            [] => form,
            [value] => Text::of("meant-one").with("value", value),
            [first, second, ..] => Text::of("meant-two").with("first", first).with("second", second),
        }
    }
}

impl<T: Display> Display for Meant<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&values.join(", "))
    }
}

/// The values that the remedy of an error's text shows, in their order.
#[cfg(test)]
pub(super) fn remedy_values(text: &Text) -> Vec<&str> {
    use crate::Argument;

    let remedies = text.arguments().iter().filter(|(name, _)| *name == "remedy");
    let parts = remedies.filter_map(|(_, remedy)| match remedy {
        Argument::Text(part) => Some(part.arguments()),
        Argument::Data(_) => None,
    });
    let values = parts.flatten().filter_map(|(_, value)| match value {
        Argument::Data(value) => Some(value.as_str()),
        Argument::Text(_) => None,
    });
    values.collect()
}
