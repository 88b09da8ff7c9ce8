//! The addresses that hold a number: URIs, links and WhatsApp's ids; and the addresses that hold none.

use super::PhoneError;

/// Numbers behind these begin with the country code.
const LINKS: [&str; 3] = ["wa.me/", "api.whatsapp.com/send?phone=", "whatsapp://send?phone="];
/// Numbers behind these are written freely.
const SCHEMES: [&str; 2] = ["tel:", "whatsapp:"];

/// The number of an address, with a plus where the address requires the country code; any other text stays.
pub(super) fn without_address(text: &str) -> Result<String, PhoneError> {
    if let Some((user, server)) = text.split_once('@') {
        return match server {
            // A colon precedes the number of a linked device.
            "s.whatsapp.net" | "c.us" => Ok(international(user.split(':').next().unwrap_or_default())),
            "lid" | "hosted.lid" => Err(PhoneError::Lid),
            "g.us" | "broadcast" | "newsletter" => Err(PhoneError::Group),
            _ => Err(PhoneError::Email),
        };
    }
    let link =
        ["https://", "http://", "www."].iter().fold(text, |text, start| text.strip_prefix(start).unwrap_or(text));
    if let Some(number) = LINKS.iter().find_map(|start| link.strip_prefix(start)) {
        return Ok(international(number.split(['?', '&', '/']).next().unwrap_or_default()));
    }
    let number = SCHEMES.iter().find_map(|start| text.strip_prefix(start)).unwrap_or(text);
    Ok(number.trim_matches(' ').to_owned())
}

fn international(number: &str) -> String {
    let number = number.trim_start_matches(['+', ' ']);
    if number.is_empty() { String::new() } else { format!("+{number}") }
}
