//! Names as ERPs hold them: a table for each kind, and properties of every text.

use proptest::prelude::*;

use super::*;

/// Posted, shown, greeted with, and the codes of the warnings.
type Case = (&'static str, &'static str, &'static str, &'static str);

fn check(cases: &[Case]) {
    for (text, shown, greeting, warnings) in cases {
        let Reading { value: name, warnings: found } = ContactName::read(text).unwrap();
        let codes: Vec<_> = found.iter().map(|warning| warning.code).collect();
        let expected = (*shown, *greeting, (*warnings).to_owned());
        assert_eq!((name.display(), name.first_name(), codes.join(" ")), expected, "{text}");
    }
}

/// Names that are greeted with the whole, as posted.
fn check_whole(names: &[&str]) {
    for name in names {
        let read = ContactName::parse(name).unwrap();
        assert_eq!((read.display(), read.first_name()), (*name, *name));
    }
}

#[test]
fn person_gets_mixed_case_and_the_first_name() {
    check(&[
        ("MARIA DA SILVA", "Maria da Silva", "Maria", ""),
        ("maria da silva", "Maria da Silva", "Maria", ""),
        ("maria", "Maria", "Maria", ""),
        ("Maria da Silva", "Maria da Silva", "Maria", ""),
        ("  JOÃO   D'ÁVILA E SOUZA ", "João D'Ávila e Souza", "João", ""),
        ("ANA-MARIA DOS SANTOS FILHO", "Ana-Maria dos Santos Filho", "Ana-Maria", ""),
        ("JOSÉ CARLOS III", "José Carlos III", "José", ""),
        ("McDonald", "McDonald", "McDonald", ""),
        ("JOSE BANCO", "Jose Banco", "Jose", ""),
        ("MARIA IGREJA CENTRAL", "Maria Igreja Central", "Maria", ""),
        ("MARIA DE SA", "Maria de Sa", "Maria", ""),
        ("MARIA SÁ", "Maria Sá", "Maria", ""),
        ("Maria Sa", "Maria Sa", "Maria", ""),
        ("王小明", "王小明", "王小明", ""),
    ]);
}

#[test]
fn title_is_not_the_greeting() {
    check(&[
        ("DRA. ANA LIMA", "Dra. Ana Lima", "Ana", ""),
        ("Sr. João", "Sr. João", "João", ""),
        ("Sra. MARIA LIMA", "Sra. Maria Lima", "Maria", ""),
        ("Sr. joão da silva", "Sr. João da Silva", "João", ""),
        ("SRA MARIA", "Sra Maria", "Maria", ""),
        ("Dr João Costa", "Dr João Costa", "João", ""),
        ("Sr(a). João Costa", "Sr(a). João Costa", "João", ""),
        ("DONA MARIA", "Dona Maria", "Maria", ""),
        ("PROF. DR. JOSÉ LIMA", "Prof. Dr. José Lima", "José", ""),
        ("Sr.", "Sr.", "Sr.", ""),
    ]);
}

#[test]
fn doubtful_name_is_greeted_with_the_whole() {
    check(&[
        ("J. R. SILVA", "J. R. Silva", "J. R. Silva", ""),
        ("J.R. SILVA", "J.R. Silva", "J.R. Silva", ""),
        ("J SILVA", "J Silva", "J Silva", ""),
        ("Ma. Clara Lima", "Ma. Clara Lima", "Ma. Clara Lima", ""),
        ("Dr. J. Silva", "Dr. J. Silva", "Dr. J. Silva", ""),
        ("DE PAULA", "De Paula", "De Paula", ""),
        ("JOÃO E MARIA LIMA", "João e Maria Lima", "João e Maria Lima", ""),
        ("JOSE/ANA", "Jose/Ana", "Jose/Ana", ""),
        ("A/C ANA LIMA", "A/C Ana Lima", "A/C Ana Lima", ""),
        ("JOSE DA SILVA, ADVOGADO", "Jose da Silva, Advogado", "Jose da Silva, Advogado", ""),
        ("SILVA, JR", "Silva, Jr", "Silva, Jr", ""),
    ]);
}

#[test]
fn family_name_before_a_comma_is_turned() {
    check(&[
        ("SILVA, JOSE", "Jose Silva", "Jose", "name_turned"),
        ("DA SILVA, JOSE", "Jose da Silva", "Jose", "name_turned"),
        ("Da Silva,José Carlos", "José Carlos da Silva", "José", "name_turned"),
        ("lima, dra. ana", "Dra. Ana Lima", "Ana", "name_turned"),
    ]);
}

#[test]
fn codes_and_identity_numbers_are_not_shown() {
    check(&[
        ("MARIA DE SOUZA 12345678909", "Maria de Souza", "Maria", "name_number_left_out"),
        ("Maria de Souza CPF 123.456.789-09", "Maria de Souza", "Maria", "name_number_left_out"),
        ("12.345.678 MARIA DE SOUZA", "Maria de Souza", "Maria", "name_number_left_out"),
        ("000123 - JOSE PEREIRA", "Jose Pereira", "Jose", "name_number_left_out"),
        ("JOSE PEREIRA (4711)", "Jose Pereira", "Jose", "name_number_left_out"),
        ("12 - SILVA, JOSE", "Jose Silva", "Jose", "name_number_left_out name_turned"),
        ("47110 PADARIA SOL LTDA", "PADARIA SOL LTDA", "PADARIA SOL LTDA", "name_number_left_out"),
        ("POSTO 7", "POSTO 7", "POSTO 7", ""),
    ]);
    let name = ContactName::parse("000123 -  JOSE PEREIRA").unwrap();
    assert_eq!(name.as_str(), "000123 - JOSE PEREIRA");
}

#[test]
fn estate_is_greeted_with_the_whole_name() {
    check(&[
        ("ESPÓLIO DE JOÃO COSTA", "Espólio de João Costa", "Espólio de João Costa", "name_estate"),
        ("ESPOLIO JOAO COSTA", "Espolio Joao Costa", "Espolio Joao Costa", "name_estate"),
        ("JOÃO COSTA (ESPÓLIO)", "João Costa (Espólio)", "João Costa (Espólio)", "name_estate"),
        ("HERDEIROS DE ANA LIMA", "Herdeiros de Ana Lima", "Herdeiros de Ana Lima", "name_estate"),
        ("Massa Falida de Acme", "Massa Falida de Acme", "Massa Falida de Acme", "name_estate"),
        ("JOSE LIMA - FALECIDO", "Jose Lima - Falecido", "Jose Lima - Falecido", "name_estate"),
    ]);
}

#[test]
fn organisation_is_greeted_with_the_whole_name() {
    check_whole(&[
        "SUPERMERCADO BOM PRECO",
        "IGREJA BATISTA CENTRAL",
        "CONDOMINIO SOL",
        "CONDOMÍNIO EDIFÍCIO SOL",
        "ASSOCIAÇÃO DE MORADORES",
        "ESCOLA MUNICIPAL",
        "PADARIA SÃO JOSÉ",
        "AUTO PEÇAS LIMA",
        "PREFEITURA DE LUZ",
        "BANCO DO POVO",
        "CLÍNICA ANA LIMA",
        "A Loja da Ana",
        "ACME LTDA",
        "ACME LTDA.",
        "ACME EIRELI",
        "ACME S/A",
        "ACME S.A.",
        "ACME SA",
        "MARIA LIMA ME",
        "MARIA LIMA - ME",
        "JOSE LIMA EPP",
        "Jose Lima (MEI)",
        "JOSE LIMA TRANSPORTES",
        "Silva & Filhos",
        "padaria da ana",
        "3 IRMAOS LTDA",
        "CONSUMIDOR FINAL",
    ]);
}

#[test]
fn text_that_was_decoded_twice_is_mended() {
    check(&[
        ("JoÃ£o da ConceiÃ§Ã£o", "João da Conceição", "João", "name_mended"),
        ("JoÃƒÂ£o", "João", "João", "name_mended"),
        ("Ana\u{a0}JoÃ£o\u{200b}", "Ana João", "Ana", "name_mended"),
        ("Jo?o", "Jo?o", "Jo?o", "name_may_be_damaged"),
        ("Ana Simäes", "Ana Simäes", "Ana", "name_may_be_damaged"),
        ("Hans Müller", "Hans Müller", "Hans", ""),
    ]);
    assert_eq!(ContactName::parse("JoÃ£o").unwrap().as_str(), "João");
}

#[test]
fn what_is_no_name_is_refused() {
    for (text, code) in [
        ("", "name_empty"),
        (" \t\n", "name_empty"),
        ("NULL", "name_empty"),
        ("nan", "name_empty"),
        ("Maria\0Lima", "name_invalid_characters"),
        ("Maria\nSilva", "name_invalid_characters"),
        ("Maria\u{202e}Silva", "name_invalid_characters"),
        (&"a".repeat(201), "name_too_long"),
        ("Jo\u{FFFD}o", "name_damaged"),
        ("Joï¿½o", "name_damaged"),
        ("JoÃ£o Conceição", "name_damaged"),
        ("Concei‡Æo", "name_wrong_charset"),
        ("JOS\u{90}", "name_wrong_charset"),
        ("JoÆo", "name_wrong_charset"),
        ("4711", "name_no_letters"),
        ("123.456.789-09", "name_no_letters"),
        ("CPF 123.456.789-09", "name_no_letters"),
        ("...", "name_no_letters"),
        ("***", "name_no_letters"),
        ("maria@acme.example", "name_email"),
        ("(11) 98888-7777", "name_phone"),
        ("+5511988887777", "name_phone"),
    ] {
        assert_eq!(ContactName::read(text).unwrap_err().code(), code, "{text:?}");
    }
    assert!(ContactName::parse(&"á".repeat(200)).is_ok());
}

#[test]
fn warnings_and_errors_show_the_value_that_is_meant() {
    let reading = ContactName::read("MARIA DE SOUZA 12345678909").unwrap();
    let shown = reading.warnings.first().unwrap();
    let expected = Text::of("name-number-left-out").with("left_out", "123***").with("name", "Maria de Souza");
    assert_eq!(shown.text, expected);
    let error = ContactName::read("Concei‡Æo").unwrap_err();
    assert_eq!(error.text(), Text::of("name-wrong-charset").with("text", "Concei‡Æo").with("suggestion", "Conceição"));
    assert!(!format!("{error:?} {error}").contains("once"));
}

#[test]
fn debug_hides_the_name() {
    assert_eq!(format!("{:?}", ContactName::parse("Maria da Silva").unwrap()), "M***");
}

proptest! {
    #[test]
    fn every_text_is_read_or_refused(any in any::<String>(), usual in "[A-Za-zãÃ£ÉÆ‡0-9*@.,()/&# -]{0,40}") {
        for text in [any, usual] {
            let Ok(name) = ContactName::parse(&text) else { continue };
            prop_assert!(ContactName::parse(name.as_str()).as_ref() == Ok(&name));
            prop_assert!(name.display().contains(name.first_name()));
            prop_assert!(name.first_name().contains(char::is_alphabetic));
            let digits: Vec<bool> = name.display().chars().map(char::is_numeric).collect();
            prop_assert!(!digits.windows(6).any(|six| six.iter().all(|is_digit| *is_digit)));
        }
    }

    #[test]
    fn no_code_before_or_after_a_person_is_shown(
        name in "[A-Z][a-z]{2,8} [A-Z][a-z]{2,8}", number in "[0-9]{5,14}", text in "(%|N% N|N - %|% N|%-N|% \\(N\\)|%N)",
    ) {
        let text = text.replace('N', &number).replace('%', &name);
        let read = ContactName::parse(&text).unwrap();
        prop_assert!(!read.display().contains(char::is_numeric));
    }
}
