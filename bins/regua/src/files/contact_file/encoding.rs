//! Decodes the bytes of a file: UTF-8 with or without a byte order mark, or Windows-1252 of older Brazilian programs.

use anyhow::{Context, bail};

/// Windows-1252 from 0x80 to 0x9F; a space for an undefined byte. From 0xA0 it equals Latin-1 and thus Unicode.
const WINDOWS_1252: [char; 32] = [
    '€', ' ', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', ' ', 'Ž', ' ', ' ', '‘', '’', '“', '”', '•', '–',
    '—', '˜', '™', 'š', '›', 'œ', ' ', 'ž', 'Ÿ',
];

/// The text, and a remark if it was not UTF-8.
pub(super) fn decode(bytes: &[u8]) -> anyhow::Result<(String, Option<String>)> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"\xD0\xCF\x11\xE0") {
        bail!("the file is a workbook, not CSV: save it as \"CSV UTF-8\"");
    }
    if bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF") || bytes.contains(&0) {
        bail!("the file is UTF-16 or no text at all: save it as \"CSV UTF-8\"");
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Ok((text.to_owned(), None));
    }
    let text: Option<String> = bytes.iter().map(|byte| windows_1252(*byte)).collect();
    let text = text.context("the file is neither UTF-8 nor Windows-1252 (Latin-1): save it as \"CSV UTF-8\"")?;
    Ok((text, Some("the file is not UTF-8; it was read as Windows-1252 (Latin-1)".to_owned())))
}

fn windows_1252(byte: u8) -> Option<char> {
    match byte {
        0x80..=0x9F => Some(WINDOWS_1252[usize::from(byte - 0x80)]).filter(|character| *character != ' '),
        _ => Some(char::from(byte)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf_8_is_decoded_with_and_without_byte_order_mark() {
        assert_eq!(decode("João".as_bytes()).unwrap(), ("João".to_owned(), None));
        assert_eq!(decode(b"\xEF\xBB\xBFJo\xC3\xA3o").unwrap(), ("João".to_owned(), None));
    }

    #[test]
    fn windows_1252_is_converted_with_a_remark() {
        let (text, remark) = decode(b"Jo\xE3o \x80 5 \x96 Concei\xE7\xE3o").unwrap();
        assert_eq!(text, "João € 5 – Conceição");
        assert!(remark.unwrap().contains("Windows-1252"));
    }

    #[test]
    fn file_that_is_no_text_is_refused_with_a_remedy() {
        for bytes in [&b"PK\x03\x04xlsx"[..], b"\xFF\xFEn\0a\0", b"a\0b", b"Jo\xE3o\x81"] {
            let error = decode(bytes).unwrap_err().to_string();
            assert!(error.contains("CSV UTF-8"), "{error}");
        }
    }
}
