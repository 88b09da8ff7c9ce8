//! Texts that a program decoded with the wrong character set. What is certain is mended; what is lost is recognized.

use crate::trim_blanks;

/// The characters of Windows-1252 from 0x80 to 0x9F. A byte without one is a control character, as in ISO-8859-1.
const WINDOWS_1252: &str = "€\u{81}‚ƒ„…†‡ˆ‰Š‹Œ\u{8d}Ž\u{8f}\u{90}‘’“”•–—˜™š›œ\u{9d}žŸ";
/// The characters of code page 850 (DOS) from 0x80.
const CODE_PAGE_850: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜø£Ø×ƒáíóúñÑªº¿®¬½¼¡«»░▒▓│┤ÁÂÀ©╣║╗╝¢¥┐└┴┬├─┼ãÃ╚╔╩╦╠═╬¤ðÐÊËÈıÍÎÏ┘┌█▄¦Ì▀ÓßÔÒõÕµþÞÚÛÙýÝ¯´\u{ad}±‗¾¶§÷¸°¨·¹³²■\u{a0}";
const PORTUGUESE: &str = "áàâãéêíóôõúüçÁÀÂÃÉÊÍÓÔÕÚÜÇ";
/// Symbols that no writer puts beside a letter; another character set has letters in their places.
const SYMBOLS: &str = "‡†¢£¤§¨¬¡¥¦±¶µ‰ƒˆ‚„€¿½¼¾¸\u{90}";

/// Mends UTF-8 that was read as Windows-1252 or ISO-8859-1, once or more often (`JoÃ£o`, `JoÃƒÂ£o`); none where the
/// text is good, or where this is not certain. Other blanks at the ends are left out. A mended text is not mended
/// again.
pub fn mend_charset(text: &str) -> Option<String> {
    std::iter::successors(decode_again(text), |text| decode_again(text)).filter(|text| is_plausible(text)).last()
}

/// Whether letters are certainly lost: U+FFFD, a symbol beside a letter, or a capital inside a word where UTF-8 or
/// code page 850 has the first half of a letter or another letter.
pub fn is_damaged(text: &str) -> bool {
    let mut before = ' ';
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let after = characters.peek().copied().unwrap_or(' ');
        let is_beside_letter = before.is_alphabetic() || after.is_alphabetic();
        let is_between_letters = before.is_alphabetic() && after.is_alphabetic();
        let is_lost = match character {
            '\u{FFFD}' => true,
            '©' | '®' => is_between_letters,
            'Ã' | 'Â' | 'Æ' => before.is_lowercase(),
            other => is_beside_letter && SYMBOLS.contains(other),
        };
        if is_lost {
            return true;
        }
        before = character;
    }
    false
}

/// The text where code page 850 was read as Windows-1252 (`Concei‡Æo`), if its letters are then Portuguese.
pub fn from_code_page_850(text: &str) -> Option<String> {
    let read = |character| match byte(character)?.checked_sub(0x80) {
        None => Some(character),
        Some(index) => CODE_PAGE_850.chars().nth(index.into()).filter(|letter| PORTUGUESE.contains(*letter)),
    };
    text.chars().map(read).collect::<Option<String>>().filter(|read| read != text)
}

/// The byte of a character in Windows-1252 or ISO-8859-1.
fn byte(character: char) -> Option<u8> {
    let in_windows = || WINDOWS_1252.chars().zip(0x80..).find_map(|(other, byte)| (other == character).then_some(byte));
    u8::try_from(character).ok().or_else(in_windows)
}

fn decode_again(text: &str) -> Option<String> {
    decode(text).or_else(|| decode(trim_blanks(text)))
}

fn decode(text: &str) -> Option<String> {
    if text.is_ascii() {
        return None;
    }
    let bytes = text.chars().map(byte).collect::<Option<Vec<u8>>>()?;
    String::from_utf8(bytes).ok().filter(|decoded| has_certain_letter(text, decoded))
}

/// Whether a decoded character is more than a capital letter before punctuation or a blank, such as `AMANHÃ…`.
fn has_certain_letter(text: &str, decoded: &str) -> bool {
    let encoded: Vec<char> = text.chars().collect();
    let mut end = 0;
    decoded.chars().any(|character| {
        let start = end;
        end += character.len_utf8();
        let is_doubtful = match encoded.get(start + 1..end) {
            Some(['\u{a0}']) => start > 0 && encoded.get(start - 1).is_some_and(|before| before.is_uppercase()),
            Some(['…' | '’' | '”' | '–' | '—']) => {
                !encoded.get(end).is_some_and(|after| after.is_alphabetic())
            }
            _ => false,
        };
        !character.is_ascii() && !is_doubtful
    })
}

/// Whether every character is one that Brazilian texts hold.
fn is_plausible(text: &str) -> bool {
    let is_usual = |character: char| {
        character.is_ascii() && !character.is_control()
            || matches!(character, '\n' | '\r' | '\t' | '\u{a0}' | 'ª' | 'º' | '°' | '§' | '€' | '\u{FFFD}')
            || matches!(character, '‘' | '’' | '“' | '”' | '–' | '—' | '…' | '•')
            || (matches!(character, 'À'..='ſ') && !matches!(character, '×' | '÷'))
            || matches!(character, '\u{2600}'..='\u{27BF}' | '\u{1F300}'..='\u{1FAFF}' | '\u{FE0F}' | '\u{200D}')
    };
    text.chars().all(is_usual)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_that_was_decoded_twice_is_mended() {
        for (text, expected) in [
            ("JoÃ£o da ConceiÃ§Ã£o", Some("João da Conceição")),
            ("JoÃƒÂ£o", Some("João")),
            ("JoÃƒÆ’Ã‚Â£o", Some("João")),
            ("ANTÃ”NIO JOSÃ‰ DA CONCEIÃ‡ÃƒO", Some("ANTÔNIO JOSÉ DA CONCEIÇÃO")),
            ("LuÃ\u{ad}s", Some("Luís")),
            ("\u{c3}\u{81}lvaro \u{c3}\u{89}rico", Some("Álvaro Érico")),
            ("referente Ã\u{a0} fatura nÂ° 7", Some("referente à fatura n° 7")),
            ("valor de R$Â\u{a0}150,00 â€“ atÃ© amanhÃ£", Some("valor de R$\u{a0}150,00 – até amanhã")),
            ("OlÃ¡ ðŸ˜€", Some("Olá 😀")),
            ("\u{200b}JoÃ£o\u{a0}", Some("João")),
            ("vai atÃ©, ou Ã\u{a0}", Some("vai até, ou à")),
            ("Joï¿½o", Some("Jo\u{FFFD}o")),
            ("João da Conceição", None),
            ("JoÃ£o Conceição", None),
            ("Maria", None),
            ("", None),
            ("AMANHÃ…", None),
            ("VENCE AMANHÃ\u{a0}DIA 10", None),
            ("“LINDA MANHÃ”", None),
            ("AVÃ”", None),
            ("Â£", None),
            ("Мария", None),
            ("Müller", None),
        ] {
            assert_eq!(mend_charset(text).as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn lost_letters_are_recognized() {
        for (text, expected) in [
            ("Jo\u{FFFD}o", true),
            ("Concei‡Æo", true),
            ("Jos‚ da Silva", true),
            ("Lu¡s", true),
            ("µlvaro", true),
            ("JoÆo", true),
            ("JoÃ£o Conceição", true),
            ("JoÃo", true),
            ("Jo©o", true),
            ("João da Conceição", false),
            ("CONCEIÇÃO", false),
            ("Æthelred Søren Åse", false),
            ("Acme® © 2026", false),
            ("1ª Igreja – 3º Ofício…", false),
            ("R$ 150,00 € 7 £ 8 § 2", false),
        ] {
            assert_eq!(is_damaged(text), expected, "{text:?}");
        }
    }

    #[test]
    fn code_page_850_is_read_where_its_letters_are_portuguese() {
        for (text, expected) in [
            ("Concei‡Æo", Some("Conceição")),
            ("Jos‚ CONCEI€ÇO", Some("José CONCEIÇÃO")),
            ("Simäes", Some("Simões")),
            ("Maria", None),
            ("Müller", None),
            ("Jo\u{FFFD}o", None),
        ] {
            assert_eq!(from_code_page_850(text).as_deref(), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn every_portuguese_text_is_mended_to_itself(text in "[a-zA-Z áàâãéêíóôõúüçÁÀÂÃÉÊÍÓÔÕÚÜÇ]{0,30}") {
            prop_assert_eq!(mend_charset(&text), None);
            let twice: String = text.bytes().map(|byte| match byte {
                0x80..=0x9f => WINDOWS_1252.chars().nth((byte - 0x80).into()).unwrap(),
                byte => char::from(byte),
            }).collect();
            let mended = mend_charset(&twice);
            prop_assert!(mended.is_none() || mended.as_ref() == Some(&text));
            // The only texts that stay are those whose letters all look like capitals before punctuation.
            prop_assert!(mended.is_some() || text.chars().all(|letter| letter.is_ascii() || "àÔ".contains(letter)));
        }

        #[test]
        fn mended_text_is_not_mended_again(text in any::<String>(), latin in "[ -~Ã\u{a0}-¿‚ƒ„…†‡]{0,20}") {
            for text in [text, latin] {
                let mended = mend_charset(&text);
                prop_assert_eq!(mended.as_deref().and_then(mend_charset), None);
                let _ = (is_damaged(&text), from_code_page_850(&text));
            }
        }
    }
}
