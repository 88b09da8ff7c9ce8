//! Tables of amounts as ERPs, spreadsheets and programs write them: one line for each kind.

use proptest::prelude::*;

use super::*;
use crate::Argument;
use crate::campaigns::meant::remedy_values;

fn cents(text: &str) -> Result<i64, MoneyError> {
    Money::read(text).map(|reading| {
        assert!(reading.warnings.is_empty(), "{text:?}");
        reading.value.cents()
    })
}

#[test]
fn amounts_are_read_exactly() {
    for (text, expected) in [
        ("150", 15_000),
        ("150.1", 15_010),
        ("150.00", 15_000),
        ("0.01", 1),
        (".5", 50),
        (",50", 50),
        ("150,00", 15_000),
        ("1.234,56", 123_456),
        ("1,234.56", 123_456),
        ("1234,5", 123_450),
        ("1.234.567,89", 123_456_789),
        ("1,234,567.89", 123_456_789),
        ("1.234.567", 123_456_700),
        ("1 234,56", 123_456),
        ("1\u{a0}234,56", 123_456),
        ("1\u{202f}234.5", 123_450),
        ("1'234.56", 123_456),
        ("1’234’567", 123_456_700),
        ("1.234,560", 123_456),
        ("0.120", 12),
        ("0,500", 50),
        ("1234.560", 123_456),
        ("0150.000", 15_000),
        ("R$ 1.234,56", 123_456),
        ("R$1.234,56", 123_456),
        ("R$\u{a0}1.234,56", 123_456),
        ("r$ 10", 1_000),
        ("BRL 1234.56", 123_456),
        ("1.234,56 BRL", 123_456),
        ("150,00 R$", 15_000),
        ("150.0000", 15_000),
        ("150,1000000", 15_010),
        ("     150.00", 15_000),
        ("\u{feff}150.00\t\r\n", 15_000),
        (" R$   150,00 ", 15_000),
        ("00150.10", 15_010),
        ("0000000000150,00", 15_000),
        ("+150,00", 15_000),
        ("999999999.99", MAX_CENTS),
        ("R$ 999.999.999,99", MAX_CENTS),
        ("149.99000000000000000000000000000000000000000000000000000000", 14_999),
    ] {
        assert_eq!(cents(text), Ok(expected), "{text:?}");
    }
}

#[test]
fn refused_amounts_show_their_reason_and_the_amounts_that_are_meant() {
    let cases: &[(&str, &str, &[&str])] = &[
        // One point or comma before three digits, after one to three digits that are not all zeros.
        ("1.234", "amount_ambiguous", &["1234.00"]),
        ("1,234", "amount_ambiguous", &["1234.00"]),
        ("12.345", "amount_ambiguous", &["12345.00"]),
        ("R$ 123,456", "amount_ambiguous", &["123456.00"]),
        ("012.345", "amount_ambiguous", &["12345.00"]),
        ("1.230", "amount_ambiguous", &["1230.00", "1.23"]),
        ("150.000", "amount_ambiguous", &["150000.00", "150.00"]),
        ("150,000", "amount_ambiguous", &["150000.00", "150.00"]),
        // Decimals that centavos do not have.
        ("0.123", "amount_too_many_decimals", &["0.12"]),
        ("1234.567", "amount_too_many_decimals", &["1234.57"]),
        ("1.234,567", "amount_too_many_decimals", &["1234.57"]),
        ("33.3333", "amount_too_many_decimals", &["33.33"]),
        ("10.0051", "amount_too_many_decimals", &["10.01"]),
        ("0.001", "amount_too_many_decimals", &[]),
        ("149.99000000000001", "amount_float_noise", &["149.99"]),
        ("149.98999999999998", "amount_float_noise", &["149.99"]),
        ("149.99000549316406", "amount_float_noise", &["149.99"]),
        ("150.099999999999994315658113919198513031005859375", "amount_float_noise", &["150.10"]),
        ("0,30000000000000004", "amount_float_noise", &["0.30"]),
        // Credits.
        ("-50,00", "amount_credit", &[]),
        ("50,00-", "amount_credit", &[]),
        ("(50,00)", "amount_credit", &[]),
        ("- 50", "amount_credit", &[]),
        ("\u{2212}50,00", "amount_credit", &[]),
        ("–1.234,56", "amount_credit", &[]),
        ("-R$ 50,00", "amount_credit", &[]),
        ("R$ -50,00", "amount_credit", &[]),
        ("R$ (50,00)", "amount_credit", &[]),
        ("(R$ 50,00)", "amount_credit", &[]),
        ("-1.234", "amount_credit", &[]),
        ("50,00 C", "amount_credit", &[]),
        ("50,00CR", "amount_credit", &[]),
        // Zero.
        ("0", "amount_not_positive", &[]),
        ("0,00", "amount_not_positive", &[]),
        ("0.000", "amount_not_positive", &[]),
        ("-0.00", "amount_not_positive", &[]),
        ("R$ -", "amount_not_positive", &[]),
        // Scientific notation.
        ("1e400", "amount_scientific", &[]),
        ("1.5e2", "amount_scientific", &["150.00"]),
        ("1,23456E+03", "amount_scientific", &["1234.56"]),
        ("1.23456789E7", "amount_scientific", &["12345678.90"]),
        ("2,37934E+46", "amount_scientific", &[]),
        ("1e99999999999999999999", "amount_scientific", &[]),
        ("1.5e-1", "amount_scientific", &[]),
        ("-1e3", "amount_scientific", &[]),
        // Other things than reais.
        ("10%", "amount_percent", &[]),
        ("2,5 %", "amount_percent", &[]),
        ("US$ 10", "amount_other_currency", &[]),
        ("€ 10", "amount_other_currency", &[]),
        ("10 AR$", "amount_other_currency", &[]),
        ("10,00 EUR", "amount_other_currency", &[]),
        ("1000000000", "amount_too_large", &[]),
        ("34191790010104351004791020150008597730026000", "amount_too_large", &[]),
        // Other texts; the last of them may be a credit, a date or two amounts.
        ("", "amount_empty", &[]),
        (" \u{a0}", "amount_empty", &[]),
        ("150,00 reais", "amount_malformed", &["150.00"]),
        ("10.", "amount_malformed", &["10.00"]),
        ("=150,00", "amount_malformed", &["150.00"]),
        ("1.234.56", "amount_malformed", &["1234.56"]),
        ("dez", "amount_malformed", &[]),
        ("１０", "amount_malformed", &[]),
        ("NaN", "amount_malformed", &[]),
        ("--1", "amount_malformed", &[]),
        ("estorno 50,00", "amount_malformed", &[]),
        ("10.11.2026", "amount_malformed", &[]),
        ("150,00 / 160,00", "amount_malformed", &[]),
    ];
    for (text, code, expected) in cases {
        let error = cents(text).unwrap_err();
        assert_eq!((error.code(), remedy_values(&error.text()).as_slice()), (*code, *expected), "{text:?}");
    }
}

#[test]
fn long_amount_is_refused_by_its_length() {
    for text in ["0", "-", "1,", ".", "1 ", "R$", "(", "\u{200b}1"] {
        assert_eq!(cents(&text.repeat(1 << 20)).unwrap_err().code(), "amount_malformed", "{text:?}");
    }
    assert_eq!(cents(&" ".repeat(1 << 20)), Err(MoneyError::Empty));
}

#[test]
fn only_the_text_for_the_caller_repeats_a_refused_text() {
    let error = cents("Maria 11988887777\u{202e}").unwrap_err();
    assert!(!format!("{error} {error:?}").contains("Maria"), "{error:?}");
    assert!(error.text().arguments().contains(&("text", Argument::Data("Maria 11988887777".to_owned()))));
}

#[test]
fn messages_show_reais() {
    for (cents, text) in
        [(1, "R$ 0,01"), (123_456, "R$ 1.234,56"), (15_000, "R$ 150,00"), (MAX_CENTS, "R$ 999.999.999,99")]
    {
        assert_eq!(Money::from_cents(cents).unwrap().format_brl(), text);
    }
}

/// An amount in one of the accepted forms.
fn written(cents: i64, (thousands, decimal): (&str, &str), zeros: usize, around: (&str, &str)) -> String {
    let brazilian = Money { cents }.format_brl().replace("R$ ", "");
    let (whole, centavos) = brazilian.split_once(',').unwrap();
    format!("{}{}{decimal}{centavos}{}{}", around.0, whole.replace('.', thousands), "0".repeat(zeros), around.1)
}

proptest! {
    #[test]
    fn amount_in_each_form_is_read_as_the_same_centavos(
        amount in prop_oneof![1..=MAX_CENTS, 1..=200_000_i64],
        marks in prop::sample::select(vec![
            ("", "."), ("", ","), (".", ","), (",", "."), (" ", ","), ("\u{a0}", ","), ("'", "."), ("’", ","),
        ]),
        // A single further zero makes three decimals, which are ambiguous.
        zeros in prop::sample::select(vec![0_usize, 2, 3, 12]),
        around in prop::sample::select(vec![
            ("", ""), ("R$ ", ""), ("R$", " "), ("BRL ", ""), ("", " BRL"), ("\u{a0}R$\u{a0}", "\t"), ("   ", ""), ("+", ""),
        ]),
    ) {
        let text = written(amount, marks, zeros, around);
        prop_assert_eq!(cents(&text), Ok(amount), "{:?}", text);
    }

    #[test]
    fn amount_without_zeros_at_its_end_is_read_as_the_same_centavos(amount in 1..=MAX_CENTS, comma: bool) {
        let text = Money { cents: amount }.to_string();
        let text = text.trim_end_matches('0').trim_end_matches('.').replace('.', if comma { "," } else { "." });
        prop_assert_eq!(cents(&text), Ok(amount), "{:?}", text);
    }

    #[test]
    fn accepted_amount_has_the_digits_of_its_text(
        text in "(R\\$ |-|\\+)?[0-9]{0,4}([., '][0-9]{1,4}){0,3}(e[0-9]|%|-| BRL)?"
    ) {
        let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
        if let Ok(money) = Money::parse(&text) {
            let (read, sent) = (digits(&money.to_string()), digits(&text));
            prop_assert_eq!(read.trim_matches('0'), sent.trim_matches('0'), "{:?} is {}", text, money);
        }
    }

    #[test]
    fn no_text_panics(any in any::<String>(), like in "[-R$BL0-9.,e+%() '\u{a0}−]{0,70}") {
        for text in [any, like] {
            let _ = Money::read(&text).map_err(|error| (error.text(), error.to_string()));
        }
    }
}
