//! Names by the check constraints' rules: a tenant's slug, an instance's name, a user's e-mail address.

use std::fmt;
use std::str::FromStr;

/// The text is not a name of this kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid {0}")]
pub struct InvalidName(&'static str);

/// Declares a text that is made by parsing, and is a column of type `text`.
macro_rules! names {
    ($($(#[$attribute:meta])* $name:ident ($kind:literal) = $is_valid:ident),+ $(,)?) => {$(
        $(#[$attribute])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                if $is_valid(text) { Ok(Self(text.to_owned())) } else { Err(InvalidName($kind)) }
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        text_column! { $name }
    )+};
}

names! {
    /// A tenant's name in paths and commands: up to 63 lower-case letters, digits and hyphens, with no hyphen in front.
    Slug ("slug") = is_slug,
    /// An instance's name, which is also its name at the gateway: up to 64 letters, digits, dots, underscores and
    /// hyphens.
    InstanceName ("instance name") = is_instance_name,
    /// A user's e-mail address in lower case, 3 to 254 characters.
    Email ("e-mail address") = is_email,
}

fn is_slug(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    text.bytes().all(is_allowed) && (1..=63).contains(&text.len()) && !text.starts_with('-')
}

fn is_instance_name(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    text.bytes().all(is_allowed) && (1..=64).contains(&text.len())
}

fn is_email(text: &str) -> bool {
    let is_allowed =
        |character: char| !character.is_whitespace() && !character.is_control() && !character.is_uppercase();
    let parts = text.split_once('@').filter(|(local, domain)| !local.is_empty() && domain.contains('.'));
    parts.is_some_and(|(_, domain)| !domain.contains('@') && !domain.starts_with('.') && !domain.ends_with('.'))
        && text.chars().all(is_allowed)
        && text.chars().count() <= 254
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slug_is_what_the_table_allows() {
        for good in ["acme", "a", "2-irmaos"] {
            assert!(good.parse::<Slug>().is_ok(), "{good}");
        }
        for bad in ["", "Acme", "-a", "a b", "açaí", &"a".repeat(64)] {
            assert!(bad.parse::<Slug>().is_err(), "{bad}");
        }
    }

    #[test]
    fn instance_name_is_what_the_table_allows() {
        for good in ["matriz", "Filial_2", "a.b-c"] {
            assert!(good.parse::<InstanceName>().is_ok(), "{good}");
        }
        for bad in ["", "São Paulo", "a/b", &"a".repeat(65)] {
            assert!(bad.parse::<InstanceName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn email_address_is_lower_case_with_one_at_sign() {
        for good in ["ana@acme.example", "a.b+c@d.e"] {
            assert!(good.parse::<Email>().is_ok(), "{good}");
        }
        for bad in ["", "ana", "Ana@acme.example", "a@b@c.d", "a@.b", "a@b.", "a b@c.d"] {
            assert!(bad.parse::<Email>().is_err(), "{bad}");
        }
    }
}
