//! Names that people read: of tenants, users, API keys and templates.

use regua_domain::refused_character;

/// The trimmed name: 1 to 200 characters, not blank, none of them invisible.
pub(crate) fn parse(text: &str) -> Result<String, String> {
    let name = text.trim();
    let is_name = !name.is_empty() && text.chars().count() <= 200 && refused_character(name, &[]).is_none();
    if is_name { Ok(name.to_owned()) } else { Err("use 1 to 200 characters, none of them invisible".to_owned()) }
}
