//! A secret argument. Its `Debug` shows nothing.

use std::fmt;
use std::ops::Deref;

use serde::Serialize;

#[derive(Clone, Serialize)]
#[serde(transparent)]
pub(crate) struct Secret(String);

impl Deref for Secret {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
