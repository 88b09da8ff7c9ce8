//! What spreadsheets and floating-point numbers do to long digits and to booleans.

/// Whether a text is a number in scientific notation, such as `2,37934E+46`: its last digits are lost.
pub fn is_damaged_number(text: &str) -> bool {
    let text = text.trim_start_matches(['+', '-']);
    let Some((mantissa, exponent)) = text.split_once(['e', 'E']) else { return false };
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once(['.', ',']).unwrap_or((mantissa, "0"));
    // `12E5` may be a code.
    let has_mark = mantissa.len() > whole.len() || exponent.starts_with('+');
    has_mark && is_digits(whole) && is_digits(fraction) && is_digits(exponent.trim_start_matches(['+', '-']))
}

/// Whether a text says no (`N`, `FALSO`, `0`) or is an amount of zero (`R$ 0,00`).
pub(crate) fn is_no(text: &str) -> bool {
    let text = text.trim().to_lowercase();
    let amount = text.trim_start_matches("r$").trim_start();
    let is_zero = amount.contains('0') && amount.chars().all(|other| matches!(other, '0' | '.' | ',' | '-' | '%'));
    is_zero || matches!(text.as_str(), "" | "n" | "n\u{e3}o" | "nao" | "no" | "false" | "falso" | "f")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_in_scientific_notation_is_damaged() {
        for (text, expected) in [
            ("2,37934E+46", true),
            ("2.37934e+46", true),
            ("-3.4191790010104353e43", true),
            ("1E+14", true),
            ("1,5E-05", true),
            ("12E5", false),
            ("34191790010104351004791020150008597730026000", false),
            ("E+46", false),
            ("2,E+46", false),
            ("2,3E+", false),
            ("R$ 2,3E+46", false),
            ("", false),
        ] {
            assert_eq!(is_damaged_number(text), expected, "{text:?}");
        }
    }

    #[test]
    fn words_and_amounts_that_say_no() {
        for text in
            ["0", "n", "N", "NÃO", "nao", "No", "FALSE", "falso", "f", "0,00", "R$ 0,00", "0.00", "-0", "0%", ""]
        {
            assert!(is_no(text), "{text:?}");
        }
        for text in ["1", "S", "sim", "true", "10", "0,01", "R$ 10,00", "não pago", "-", "nada", "x"] {
            assert!(!is_no(text), "{text:?}");
        }
    }
}
