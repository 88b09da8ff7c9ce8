//! Tables of what fields for phone numbers hold, one for each kind: a new case is one line.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::Argument;

/// What a text shows under a name.
fn shown(text: &Text, name: &str) -> Option<String> {
    let found = text.arguments().iter().find(|(own, _)| *own == name)?;
    match &found.1 {
        Argument::Data(data) => Some(data.clone()),
        Argument::Text(part) => Some(part.id().to_owned()),
    }
}

#[test]
fn marks_quotes_and_addresses_do_not_count() {
    for text in [
        "\u{202a}+55 11 98888\u{2011}7777\u{202c}",
        "11988887777\t",
        "\u{200b}11988887777",
        "11\u{feff}98888\u{ad}77\u{200d}77",
        "11\u{a0}98888\u{2009}7777",
        "11\t98888\n7777",
        "11\u{2010}98888\u{2012}7777",
        "11\u{2013}98888\u{2014}7777",
        "11\u{2015}98888\u{2212}7777",
        "11\u{fe63}98888\u{ff0d}7777",
        "（１１）９８８８８－７７７７",
        "＋５５ １１ ９８８８８ ７７７７",
        "'11988887777",
        "=\"11988887777\"",
        "\"(11) 98888-7777\"",
        "-11988887777",
        "11.988.887.777",
        "11.988887777",
        "1198888.7777",
        "55 (011) 98888-7777",
        "tel:+5511988887777",
        "TEL: 11 98888-7777",
        "whatsapp:+5511988887777",
        "https://wa.me/5511988887777?text=Oi",
        "wa.me/+5511988887777",
        "https://api.whatsapp.com/send?phone=5511988887777&text=Oi",
        "5511988887777@s.whatsapp.net",
        "551188887777@S.WhatsApp.net",
        "5511988887777:12@s.whatsapp.net",
        "5511988887777@c.us",
        &format!("{}11988887777", "\u{200b}".repeat(200)),
    ] {
        let number = PhoneNumber { e164: "+5511988887777".to_owned() };
        assert_eq!(PhoneNumber::read(text), Ok(Reading::certain(number)), "{text:?}");
    }
}

#[test]
fn assumption_is_a_warning_that_shows_the_number() {
    for (text, code, data, expected) in [
        ("55988887777.0", "phone_decimal_zero", "phone", "(55) 98888-7777"),
        ("1198887777.0", "phone_decimal_zero", "phone", "(11) 99888-7777"),
        ("11988887777,00", "phone_decimal_zero", "phone", "(11) 98888-7777"),
        ("11988887777.0000", "phone_decimal_zero", "phone", "(11) 98888-7777"),
        ("11.988.887.777,00", "phone_decimal_zero", "phone", "(11) 98888-7777"),
        ("+5511988887777.0", "phone_decimal_zero", "phone", "(11) 98888-7777"),
        ("(11) 9888-7777/8", "phone_neighbour_line", "phone", "(11) 99888-7777"),
        ("11 3222-1111 / 1112", "phone_neighbour_line", "phone", "(11) 3222-1111"),
        ("+51 98888-7777", "phone_foreign", "phone", "+51988887777"),
        ("+51 98888-7777", "phone_foreign", "country", "country-51"),
        ("+51 98888-7777", "phone_foreign", "national", "(51) 98888-7777"),
        ("51988887777@c.us", "phone_foreign", "phone", "+51988887777"),
        ("+33 98888-7777", "phone_foreign", "country", "country-33"),
        ("55988887777", "phone_area_55", "phone", "(55) 98888-7777"),
        ("55988887777", "phone_area_55", "certain", "+5555988887777"),
        ("55 3222-1111", "phone_area_55", "phone", "(55) 3222-1111"),
        ("055 98888-7777", "phone_area_55", "phone", "(55) 98888-7777"),
        ("015 11 98888-7777", "phone_carrier", "carrier", "15"),
        ("0119888877771", "phone_carrier", "phone", "(98) 98887-7771"),
    ] {
        let warnings = match PhoneNumber::read(text) {
            Ok(reading) => reading.warnings,
            Err(error) => vec![crate::Warning { code: error.code(), text: error.text() }],
        };
        let warning = warnings.iter().find(|warning| warning.code == code);
        let warning = warning.unwrap_or_else(|| panic!("{text:?}: {warnings:?}"));
        assert_eq!(shown(&warning.text, data).unwrap_or_default(), expected, "{text:?}");
    }
}

#[test]
fn number_with_one_reading_has_no_warning() {
    for text in [
        "(55) 98888-7777",
        "+55 55 98888-7777",
        "5555988887777",
        "055 11 98888-7777",
        "(0xx11) 98888-7777",
        "+351 912 345 678",
        "+1 (212) 555-2368",
        "(11) 98888/7777",
        "11/98888-7777",
    ] {
        assert_eq!(PhoneNumber::read(text).map(|reading| reading.warnings), Ok(Vec::new()), "{text:?}");
    }
}

#[test]
fn refusal_names_the_fault_and_the_numbers_that_are_meant() {
    for (text, code, meant) in [
        ("119.888.877-77", "phone_cpf", None),
        ("119 888 877 77", "phone_cpf", None),
        ("CPF: 119.888.877-77", "phone_cpf", None),
        ("11.222.333/0001-81", "phone_cnpj", None),
        ("11222333000181", "phone_cnpj", None),
        ("11988887777123", "phone_cnpj", None),
        ("05511988000177", "phone_cnpj", None),
        ("5511988000177", "phone_cnpj", None),
        ("11988000194", "phone_cnpj", None),
        ("69385314111689@lid", "phone_lid", None),
        ("120363040000000000@g.us", "phone_group", None),
        ("5511988887777-1500000000@g.us", "phone_group", None),
        ("maria11988887777@acme.example", "phone_email", None),
        ("1,19889E+10", "phone_scientific", None),
        ("1.198e10", "phone_scientific", None),
        ("5.51199E+12", "phone_scientific", None),
        ("1E400", "phone_scientific", None),
        ("1.1988887777E10", "phone_whole_scientific", Some("(11) 98888-7777")),
        ("11988887777.5", "phone_decimal", None),
        ("(11) 3222-1111 e 12", "phone_invalid_characters", None),
        ("988887777,25", "phone_decimal", None),
        ("988887777.0", "phone_too_short", None),
        ("(11) 98888-7777 / 98888-6666", "phone_two_numbers", Some("(11) 98888-7777 / (11) 98888-6666")),
        ("11988887777/11988886666", "phone_two_numbers", Some("(11) 98888-7777 / (11) 98888-6666")),
        ("11988887777;2132221111", "phone_two_numbers", Some("(11) 98888-7777 / (21) 3222-1111")),
        ("11988887777,11988886666", "phone_two_numbers", Some("(11) 98888-7777 / (11) 98888-6666")),
        ("11988887777 e 988886666", "phone_two_numbers", Some("(11) 98888-7777 / (11) 98888-6666")),
        ("11 98888-7777 OU 3222-1111", "phone_two_numbers", Some("(11) 98888-7777 / (11) 3222-1111")),
        ("11988887777 11988886666", "phone_two_numbers", Some("(11) 98888-7777 / (11) 98888-6666")),
        ("(11) 98888-7777 (11) 3222-1111", "phone_two_numbers", Some("(11) 98888-7777 / (11) 3222-1111")),
        ("11988887777 / 11988886666 / 11988885555", "phone_two_numbers", Some("(11) 98888-7777 / (11) 98888-6666")),
        ("(11) 9888-7777-8", "phone_two_readings", Some("(11) 99888-7777 / (11) 98887-7778")),
        ("(11) 3222-1111 ramal 2", "phone_extension", Some("(11) 3222-1111")),
        ("(11) 3222-1111 (Ramal: 21)", "phone_extension", Some("(11) 3222-1111")),
        ("1132221111 r. 12", "phone_extension", Some("(11) 3222-1111")),
        ("1132221111x12", "phone_extension", Some("(11) 3222-1111")),
        ("1132221111 ext. 12", "phone_extension", Some("(11) 3222-1111")),
        ("tel:+551132221111;ext=12", "phone_extension", Some("(11) 3222-1111")),
        ("(11) 98888-7777 (Maria)", "phone_with_text", Some("(11) 98888-7777")),
        ("cel: +55 11 98888-7777;", "phone_with_text", Some("(11) 98888-7777")),
        ("00011988887777", "phone_leading_zeros", Some("(11) 98888-7777")),
        ("+011 98888-7777", "phone_leading_zeros", Some("(11) 98888-7777")),
        ("0051988887777", "phone_leading_zeros", Some("(51) 98888-7777 / +51988887777")),
        ("00351912345678", "phone_leading_zeros", Some("+351912345678")),
        ("555511988887777", "phone_doubled_country_code", Some("(11) 98888-7777")),
        ("+55 55 11 3222-1111", "phone_doubled_country_code", Some("(11) 3222-1111")),
        ("+55 5555 98888-7777", "phone_doubled_country_code", Some("(55) 98888-7777")),
        ("0xx11 98888-7777@c.us", "phone_invalid_characters", None),
        ("+11 98888-7777", "phone_missing_country_code", Some("(11) 98888-7777")),
        ("11988887777@s.whatsapp.net", "phone_missing_country_code", Some("(11) 98888-7777")),
        ("351912345678", "phone_missing_plus", Some("+351912345678")),
        ("(11) 88888-7777", "phone_ninth_digit", Some("(11) 98888-7777")),
        ("(11) 83222-1111", "phone_ninth_digit", Some("(11) 93222-1111 / (11) 3222-1111")),
    ] {
        let error = PhoneNumber::read(text).expect_err(text);
        assert_eq!((error.code(), shown(&error.text(), "meant").as_deref()), (code, meant), "{text:?}");
    }
}

#[test]
fn text_is_bounded_before_marks_are_removed() {
    assert_eq!(PhoneNumber::read(&"\u{200b}".repeat(1 << 20)), Err(PhoneError::TooLong));
    assert_eq!(PhoneNumber::read(&"1".repeat(MAX_CHARACTERS + 1)), Err(PhoneError::TooLong));
}

/// Whether the rules explain each digit of a number and each digit that is missing: before the number a country code, a
/// trunk prefix and a carrier are dropped, after it zeros or a neighbour; country code and ninth digit are added.
fn is_explained(text: &str, number: &PhoneNumber) -> bool {
    let input: String = text.chars().filter(char::is_ascii_digit).collect();
    let is_dropped_end = |end: &str| {
        let is_after = |mark| text.trim_end().ends_with(&format!("{mark}{end}"));
        let is_zero = end.bytes().all(|byte| byte == b'0') && (is_after('.') || is_after(','));
        end.is_empty() || is_zero || (end.len() <= 4 && is_after('/'))
    };
    let appears_after = |own: &str, is_dropped_start: &dyn Fn(&str) -> bool| {
        let places = (0..input.len()).filter(|at| input[*at..].starts_with(own));
        places.into_iter().any(|at| is_dropped_start(&input[..at]) && is_dropped_end(&input[at + own.len()..]))
    };
    let Some((area, subscriber)) = number.brazilian() else {
        let own = number.digits();
        let is_trunk = |prefix: &str| ["", "0", "1", "8", "01", "06"].contains(&prefix);
        let trunk = |country: usize| move |start: &str| start.strip_prefix(&own[..country]).is_some_and(is_trunk);
        return (1..=3).any(|country| appears_after(&own[country..], &trunk(country)));
    };
    let is_dropped_start = |start: &str| {
        let start = start.strip_prefix("00").filter(|rest| rest.starts_with("55")).unwrap_or(start);
        let trunk = start.strip_prefix("55").unwrap_or(start);
        trunk.is_empty() || (trunk.starts_with('0') && matches!(trunk.len(), 1 | 3))
    };
    let without_ninth = subscriber.get(subscriber.len() - 8..).unwrap_or_default();
    [subscriber, without_ninth].iter().any(|own| appears_after(&format!("{area}{own}"), &is_dropped_start))
}

const STARTS: [&str; 17] =
    ["", "", "", "0", "55", "+55 ", "+", "(", "0055", "00", "0xx", "015 ", "5555", "+51", "+44 0", "+1 ", "tel:"];
const ENDS: [&str; 16] = [
    "",
    "",
    "",
    "",
    ".0",
    ",00",
    ".5",
    "/8",
    "-8",
    "/1112",
    " ramal 2",
    " / 98888-6666",
    "@c.us",
    "e10",
    "9",
    " 32221111",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn accepted_number_has_the_digits_of_the_input(
        start in select(&STARTS[..]), area in "[1-9][0-9]\\)?", gap in "[ .-]?",
        subscriber in "9?[2-9][0-9]{3}[ ./-]?[0-9]{3,5}", end in select(&ENDS[..]),
    ) {
        let text = format!("{start}{area}{gap}{subscriber}{end}");
        if let Ok(number) = PhoneNumber::parse(&text) {
            prop_assert!(is_explained(&text, &number), "{text:?} is read as {}", number.as_e164());
        }
    }

    #[test]
    fn accepted_foreign_number_has_the_digits_of_the_input(text in "\\+[1-9][0-9]{6,13}") {
        if let Ok(number) = PhoneNumber::parse(&text) {
            prop_assert!(is_explained(&text, &number), "{text:?} is read as {}", number.as_e164());
        }
    }

    #[test]
    fn number_that_is_meant_is_accepted(text in "[+]?[0-9]{10,16}( ?[/x-] ?[0-9]{1,11})?") {
        let Err(error) = PhoneNumber::read(&text) else { return Ok(()) };
        for meant in shown(&error.text(), "meant").iter().flat_map(|meant| meant.split(" / ")) {
            prop_assert_eq!(PhoneNumber::parse(meant).map(|number| number.national()), Ok(meant.to_owned()));
        }
    }

    #[test]
    fn number_reads_the_same_with_and_without_marks(text in any::<String>(), number in "[+0-9() -]{8,20}") {
        let marked: String = number.chars().flat_map(|character| ['\u{200b}', character, '\u{202c}']).collect();
        prop_assert_eq!(PhoneNumber::read(&marked), PhoneNumber::read(&number));
        prop_assert_eq!(PhoneNumber::read(&text).map(|reading| reading.value), PhoneNumber::parse(&text));
    }
}
