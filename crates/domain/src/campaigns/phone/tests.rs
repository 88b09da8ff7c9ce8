//! Tables of numbers as ERPs store them, and properties that compare these rules with the library's.

use proptest::prelude::*;

use super::*;

#[test]
fn numbers_of_brazilian_erps_become_e164() {
    let cases = [
        ("(11) 98888-7777", "+5511988887777", PhoneKind::Mobile),
        ("11988887777", "+5511988887777", PhoneKind::Mobile),
        ("011988887777", "+5511988887777", PhoneKind::Mobile),
        ("5511988887777", "+5511988887777", PhoneKind::Mobile),
        ("+55 11 98888-7777", "+5511988887777", PhoneKind::Mobile),
        ("(+55) 11 98888.7777", "+5511988887777", PhoneKind::Mobile),
        ("0055 11 98888 7777", "+5511988887777", PhoneKind::Mobile),
        ("055 11 98888 7777", "+5511988887777", PhoneKind::Mobile),
        ("(0xx11) 98888-7777", "+5511988887777", PhoneKind::Mobile),
        ("+55 (0XX11) 98888-7777", "+5511988887777", PhoneKind::Mobile),
        ("+55 (011) 98888-7777", "+5511988887777", PhoneKind::Mobile),
        ("015 11 98888-7777", "+5511988887777", PhoneKind::Mobile),
        ("0 15 11 3222-1111", "+551132221111", PhoneKind::Landline),
        ("11 8888-7777", "+5511988887777", PhoneKind::Mobile),
        ("551188887777", "+5511988887777", PhoneKind::Mobile),
        ("(11) 6888-7777", "+5511968887777", PhoneKind::Mobile),
        ("(11) 99999-9999", "+5511999999999", PhoneKind::Mobile),
        ("(11) 3222-1111", "+551132221111", PhoneKind::Landline),
        ("55 99999-8888", "+5555999998888", PhoneKind::Mobile),
        ("(55) 3222-1111", "+555532221111", PhoneKind::Landline),
        ("055 99999-8888", "+5555999998888", PhoneKind::Mobile),
        ("55 55 99999-8888", "+5555999998888", PhoneKind::Mobile),
        ("55 55 3222-1111", "+555532221111", PhoneKind::Landline),
        ("+351 912 345 678", "+351912345678", PhoneKind::Foreign),
        ("+1 (212) 555-2368", "+12125552368", PhoneKind::Foreign),
        ("+44 (0)20 7946 0018", "+442079460018", PhoneKind::Foreign),
    ];
    for (text, expected, kind) in cases {
        let number = PhoneNumber::parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        assert_eq!((number.as_e164(), number.kind()), (expected, kind), "{text:?}");
    }
}

#[test]
fn invalid_number_is_refused_by_code() {
    let cases = [
        ("", "phone_empty"),
        ("   ", "phone_empty"),
        ("---", "phone_too_short"),
        ("98888-7777", "phone_too_short"),
        ("+55 98888-7777", "phone_too_short"),
        ("+1", "phone_too_short"),
        ("(20) 98888-7777", "phone_invalid_ddd"),
        ("(23) 3222-1111", "phone_invalid_ddd"),
        ("(11) 88888-7777", "phone_ninth_digit"),
        ("(11) 1888-7777", "phone_invalid"),
        ("00000000000", "phone_invalid"),
        ("0800 123 4567", "phone_service_number"),
        ("0300 123 4567", "phone_service_number"),
        ("119888877771", "phone_too_long"),
        ("5511988887777123", "phone_too_long"),
        ("+1234567890123456", "phone_too_long"),
        ("onze 98888-7777", "phone_invalid_characters"),
        ("11x988887777", "phone_invalid_characters"),
        ("11+988887777", "phone_invalid_characters"),
        ("11\u{0}988887777", "phone_invalid_characters"),
        ("١١٩٨٨٨٨٧٧٧٧", "phone_invalid_characters"),
        ("+351 000", "phone_too_short"),
        ("+999 123 456 789", "phone_invalid"),
        ("(11) 98888-7777,5", "phone_invalid_characters"),
        ("3222-1111 ramal 21", "phone_too_short"),
        ("98888-7777 apto 12", "phone_invalid_characters"),
    ];
    for (text, code) in cases {
        assert_eq!(PhoneNumber::parse(text).unwrap_err().code(), code, "{text:?}");
    }
}

#[test]
fn debug_hides_the_middle_digits() {
    for (text, masked) in
        [("11988887777", "+55119****7777"), ("1132221111", "+5511****1111"), ("+12125552368", "+121****2368")]
    {
        assert_eq!(format!("{:?}", PhoneNumber::parse(text).unwrap()), masked);
    }
}

#[test]
fn national_form_is_the_usual_notation() {
    for (text, national) in
        [("11988887777", "(11) 98888-7777"), ("1132221111", "(11) 3222-1111"), ("+12125552368", "+12125552368")]
    {
        assert_eq!(PhoneNumber::parse(text).unwrap().national(), national);
    }
}

#[test]
fn only_e164_is_read_from_the_database() {
    assert_eq!(PhoneNumber::from_stored("+5511988887777").unwrap().digits(), "5511988887777");
    for text in ["", "+", "5511988887777", "+0511988887777", "+55 11988887777", "+1234567890123456"] {
        assert!(PhoneNumber::from_stored(text).is_err(), "{text:?}");
    }
}

proptest! {
    /// Holds for nine-digit mobiles and for landlines that begin with 2 to 5: the library knows Brazil's DDDs, and not
    /// the ranges within them.
    #[test]
    fn library_accepts_every_accepted_brazilian_number(area in 11_u32..=99, subscriber in 20_000_000_u32..=99_999_999) {
        if let Ok(number) = PhoneNumber::parse(&format!("({area}) {subscriber}")) {
            let known = phonenumber::parse(None, number.as_e164()).unwrap();
            prop_assert!(known.is_valid(), "{}", number.as_e164());
        }
    }

    #[test]
    fn number_parses_back_from_each_of_its_forms(area in 11_u32..=99, subscriber in 900_000_000_u32..=999_999_999) {
        // Digits with 0001 may be a CNPJ.
        prop_assume!(!subscriber.to_string().contains("0001"));
        if let Ok(number) = PhoneNumber::parse(&format!("{area}{subscriber}")) {
            for form in [number.as_e164(), number.digits(), &number.national(), &format!("0{}", number.national())] {
                prop_assert_eq!(&PhoneNumber::parse(form).unwrap(), &number);
            }
            prop_assert_eq!(&PhoneNumber::from_stored(number.as_e164()).unwrap(), &number);
        }
    }

    #[test]
    fn no_text_panics(text in any::<String>()) {
        if let Ok(number) = PhoneNumber::parse(&text) {
            prop_assert_eq!(PhoneNumber::parse(number.as_e164()), Ok(number));
        }
    }

    #[test]
    fn neither_debug_nor_error_shows_the_number(text in "\\+?[0-9]{8,16}") {
        let shown = match PhoneNumber::read(&text) {
            Ok(reading) => format!("{reading:?}"),
            Err(error) => format!("{error} {error:?}"),
        };
        prop_assert!(!shown.contains(text.trim_start_matches(['+', '0'])), "{shown}");
    }
}

#[test]
fn whatsapp_digits_include_a_mobile_without_its_ninth_digit() {
    for (number, expected) in [
        ("+5531988887777", vec!["5531988887777", "553188887777"]),
        ("+553188887777", vec!["553188887777", "5531988887777"]),
        ("+14155550123", vec!["14155550123"]),
        ("+525512345678", vec!["525512345678", "5215512345678"]),
        ("+5491123456789", vec!["5491123456789", "541123456789"]),
    ] {
        assert_eq!(PhoneNumber::from_stored(number).unwrap().whatsapp_digits(), expected);
    }
}

#[test]
fn forms_of_one_line_never_belong_to_another_line() {
    let forms = |text: &str| {
        let number = PhoneNumber::parse(text).unwrap();
        number.same_line().iter().map(|form| form.as_e164().to_owned()).collect::<Vec<_>>()
    };
    for text in ["11 98888-7777", "(11) 8888-7777", "5511988887777", "+55 11 98888-7777"] {
        assert_eq!(forms(text), ["+5511988887777", "+551188887777"], "{text}");
    }
    // A mobile without its ninth digit would be a landline, and a landline with one a mobile: both are other lines.
    assert_eq!(forms("11 93333-4444"), ["+5511933334444"]);
    assert_eq!(forms("11 3333-4444"), ["+551133334444"]);
    assert_eq!(forms("+1 202 555 0143"), ["+12025550143"]);
    assert_eq!(forms("+52 55 1234 5678"), ["+525512345678", "+5215512345678"]);
}
