//! The stored form of a secret that is sealed by a key outside the database. `regua-secrets` seals and opens; a column
//! of secrets accepts only this type.

use std::fmt;

const VERSION: &str = "v1";

/// A sealed secret: `v1:<key id>:<base64 of nonce and ciphertext>`.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(String);

impl Sealed {
    /// Builds the form; none where a part is invalid.
    pub fn from_parts(key_id: &str, ciphertext: &str) -> Option<Self> {
        Self::parse(&format!("{VERSION}:{key_id}:{ciphertext}"))
    }

    /// Reads the form; none where the text has another one.
    pub fn parse(text: &str) -> Option<Self> {
        let (key_id, ciphertext) = text.strip_prefix(VERSION)?.strip_prefix(':')?.split_once(':')?;
        let is_hexadecimal = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
        let has_form = key_id.len() == 8
            && key_id.bytes().all(is_hexadecimal)
            && !ciphertext.is_empty()
            && ciphertext.bytes().all(is_base64);
        has_form.then(|| Self(text.to_owned()))
    }

    /// The stored text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id of the key that opens it.
    pub fn key_id(&self) -> &str {
        self.0.split(':').nth(1).unwrap_or_default()
    }

    /// Nonce and ciphertext, in base64.
    pub fn ciphertext(&self) -> &str {
        self.0.rsplit(':').next().unwrap_or_default()
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({VERSION}:{}:…)", self.key_id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_sealed_form_parses_and_its_parts_are_read_back() {
        let sealed = Sealed::from_parts("0a1b2c3d", "QUJD+/==").unwrap();
        assert_eq!(sealed.as_str(), "v1:0a1b2c3d:QUJD+/==");
        assert_eq!((sealed.key_id(), sealed.ciphertext()), ("0a1b2c3d", "QUJD+/=="));
        assert_eq!(Sealed::parse(sealed.as_str()), Some(sealed));
        let other = ["", "segredo", "v1:", "v1:0a1b2c3d:", "v1:0A1B2C3D:QUJD", "v1:0a1b2c3:QUJD", "v2:0a1b2c3d:QUJD"];
        for text in other {
            assert_eq!(Sealed::parse(text), None, "{text:?}");
        }
        assert_eq!(Sealed::parse("v1:0a1b2c3d:a:b"), None);
    }

    #[test]
    fn debug_shows_the_key_id_only() {
        let shown = format!("{:?}", Sealed::from_parts("0a1b2c3d", "QUJD").unwrap());
        assert!(shown.contains("0a1b2c3d") && !shown.contains("QUJD"), "{shown}");
    }
}
