//! Numbers that registers put into the field of a name: codes of customers, CPF, CNPJ, telephone numbers and e-mail
//! addresses. No message shows them.

use std::sync::LazyLock;

use regex::Regex;

use crate::text::fold_whitespace;

/// Words that announce a number.
macro_rules! label {
    () => {
        r"(?:\b(?:cpf|cnpj|rg|ie|c[o\x{f3}]d(?:igo)?|cli(?:ente)?|mat(?:r[i\x{ed}]cula)?|id|contrato|fone|tel(?:efone)?|cel(?:ular)?|n[ºo°])\b[\s.:/º°#-]*)"
    };
}

/// What is left out, in this order. `*` and the `X` of a masked CPF count as digits.
const PATTERNS: [&str; 11] = [
    // maria@acme.example
    r"[<(]?[^\s@]+@[^\s@]+\.[^\s@]+",
    // XXX.456.789-XX
    concat!(r"[(\[]?", label!(), r"*[x\d*]{3}\.[x\d*]{3}\.[x\d*]{3}-?[x\d*]{2}\b[)\]]?"),
    // 12 - JOSE, 12) JOSE, C00123 - JOSE
    r"^#?\p{L}{0,3}-?\p{N}[\p{N}./-]*(?:\s+[-–—|:/]\s*|\s*[|:;)]\s*|[.,]\s+|[-–—]\s+)",
    // 123-JOSE
    r"^\p{L}{0,3}\p{N}{3,}[-–—_/]",
    // CLI-00042 JOSE
    r"^\p{L}{1,3}-?\p{N}{4,}\b",
    // Five digits or more: CPF 123.456.789-09, 12.345.678/0001-90, (11) 98888-7777
    concat!(r"(?:[-–—:|/;,(\[#+]\s*)*", label!(), r"*[(\[#+]*[\p{N}*](?:(?:[./–-]|\)? ?)[\p{N}*]){4,}[)\]]*"),
    // (47)
    concat!(r"[(\[]\s*", label!(), r"*[\p{N}*]+\s*[)\]]"),
    // COD 47, #47
    concat!(r"(?:", label!(), r"+|#\s*)[\p{N}*][\p{N}./*-]*"),
    // 047 JOSE, JOSE 047
    r"^0\p{N}{2,}\b|\b0\p{N}{2,}$",
    // JOSE - 471, JOSE/471
    r"(?:\s+[-–—]\s*|\s*[/:|_;]\s*)\p{N}{3,}$",
    // What remains of a mask, and empty parentheses
    r"\*{3,}|[(\[]\s*[)\]]",
];

static EXPRESSIONS: LazyLock<Vec<Regex>> =
    LazyLock::new(|| PATTERNS.iter().filter_map(|pattern| Regex::new(&format!("(?i){pattern}")).ok()).collect());

/// A name without such numbers.
pub(super) struct Separated {
    pub(super) name: String,
    /// What was left out, with three digits of a long number: `CPF 123***`.
    pub(super) left_out: Vec<String>,
}

pub(super) fn separate(text: &str) -> Separated {
    let mut separated = Separated { name: text.to_owned(), left_out: Vec::new() };
    if !text.contains(|character: char| character.is_numeric() || matches!(character, '*' | '@' | '.')) {
        return separated;
    }
    for expression in EXPRESSIONS.iter() {
        let found = expression.find_iter(&separated.name).map(|found| masked(found.as_str()));
        separated.left_out.extend(found.filter(|masked| !masked.is_empty()));
        separated.name = expression.replace_all(&separated.name, " ").into_owned();
    }
    if !separated.left_out.is_empty() {
        let name = fold_whitespace(&separated.name);
        let name = name.trim_start_matches(|other: char| !other.is_alphanumeric());
        let name = name.trim_end_matches(|other: char| !(other.is_alphanumeric() || matches!(other, '.' | ')' | '"')));
        separated.name = name.to_owned();
    }
    separated
}

/// The third digit, or the first letter of an e-mail address, is the last character that is shown.
fn masked(text: &str) -> String {
    let text = text.trim_matches(|other: char| !(other.is_alphanumeric() || other == '*'));
    let digits: Vec<usize> = text.char_indices().filter_map(|(at, c)| c.is_numeric().then_some(at)).collect();
    let end = match digits[..] {
        _ if text.contains('@') => text.chars().next().map_or(0, char::len_utf8),
        [_, _, third, _, _, _, _, ..] => third + text[third..].chars().next().map_or(0, char::len_utf8),
        _ => return text.to_owned(),
    };
    format!("{}***", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_is_an_expression() {
        assert_eq!(EXPRESSIONS.len(), PATTERNS.len());
    }

    #[test]
    fn numbers_are_left_out_of_names() {
        for (text, name, left_out) in [
            ("MARIA DE SOUZA 12345678909", "MARIA DE SOUZA", "123***"),
            ("MARIA DE SOUZA - CPF: 123.456.789-09", "MARIA DE SOUZA", "CPF: 123***"),
            ("MARIA (CPF 123 456 789 09) DE SOUZA", "MARIA DE SOUZA", "CPF 123***"),
            ("SOUZA12345678909", "SOUZA", "123***"),
            ("MARIA ***.456.789-**", "MARIA", "***.456.789-**"),
            ("MARIA XXX.456.789-XX", "MARIA", "XXX.456.789-XX"),
            ("MARIA ***", "MARIA", "***"),
            ("12.345.678 MARIA DE SOUZA", "MARIA DE SOUZA", "12.3***"),
            ("12.345.678/0001-90 - PADARIA SOL LTDA.", "PADARIA SOL LTDA.", "12.3***"),
            ("000123 - JOSE PEREIRA", "JOSE PEREIRA", "000123"),
            ("123-JOSE PEREIRA", "JOSE PEREIRA", "123"),
            ("1) JOSE", "JOSE", "1"),
            ("12: JOSE", "JOSE", "12"),
            ("C00123 - JOSE PEREIRA", "JOSE PEREIRA", "C00123"),
            ("CLI-00042 JOSE PEREIRA", "JOSE PEREIRA", "CLI-00042"),
            ("#47 JOSE", "JOSE", "47"),
            ("COD. 47 JOSE", "JOSE", "COD. 47"),
            ("047 JOSE", "JOSE", "047"),
            ("JOSE PEREIRA (4711)", "JOSE PEREIRA", "4711"),
            ("JOSE PEREIRA [cod 4711]", "JOSE PEREIRA", "cod 4711"),
            ("JOSE PEREIRA - 4711", "JOSE PEREIRA", "4711"),
            ("JOSE PEREIRA 47110", "JOSE PEREIRA", "47110"),
            ("JOSE (11) 98888-7777", "JOSE", "11) 9***"),
            ("JOSE +55 11 98888-7777", "JOSE", "55 1***"),
            ("Jose <jose@acme.example>", "Jose", "j***"),
        ] {
            let separated = separate(text);
            assert_eq!((separated.name.as_str(), separated.left_out.join(", ").as_str()), (name, left_out), "{text}");
        }
    }

    #[test]
    fn numbers_of_a_name_stay() {
        for text in [
            "POSTO 7",
            "3 IRMAOS LTDA",
            "24 HORAS CHAVEIRO",
            "1º OFICIO",
            "MERCADO G-1000",
            "1001 FESTAS",
            "J. R. SILVA",
        ] {
            let separated = separate(text);
            assert_eq!((separated.name.as_str(), separated.left_out.is_empty()), (text, true), "{text}");
        }
    }
}
