//! The files of the languages: whole, alike, and with a text for every problem and every error of the domain.
//! `structure/texts.rs` compares their ids with the code.

use std::collections::{BTreeMap, BTreeSet};

use regua_domain::{
    CodePoint, ContactNameError, Money, OpenIntervalError, PhoneError, ReferenceError, RenderError, Rule, SchemaError,
    SchemaViolation, TemplateError, TemplateProblem, VariablesError, VariationsError, parse_due_date,
};

use super::*;
use crate::http::Code;

/// The Portuguese text leaves the cause out.
const DIFFERENT_DATA: [&str; 1] = ["instance-token-unreadable"];

/// The names of the data in each message.
fn messages(language: Language) -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let lines = source(language).lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let message = |line: &'static str| {
        let (id, words) = line.split_once(" = ").unwrap_or_else(|| panic!("not `id = text`: {line}"));
        (id, words.split("{ $").skip(1).map(|rest| rest.split_once(" }").unwrap().0).collect())
    };
    lines.map(message).collect()
}

#[test]
fn every_file_is_whole() {
    for language in Language::ALL {
        let resource = FluentResource::try_new(source(language).to_owned()).map_err(|(_, errors)| errors).unwrap();
        let mut catalogue: Catalogue = FluentBundle::new_concurrent(Vec::new());
        catalogue.add_resource(resource).unwrap();
        assert!(messages(language).keys().all(|id| catalogue.has_message(id)), "{language}");
    }
}

#[test]
fn languages_have_the_same_texts_with_the_same_data() {
    let texts = |language| {
        let mut messages = messages(language);
        messages.retain(|id, _| !DIFFERENT_DATA.contains(id));
        messages
    };
    for language in Language::ALL {
        assert_eq!(texts(language), texts(Language::default()), "{language}");
        assert!(messages(language).keys().eq(messages(Language::default()).keys()), "{language}");
    }
}

#[test]
fn every_problem_has_a_title_of_its_own_and_a_sentence() {
    for language in Language::ALL {
        let text = |id: String| render_text(&Text::of_code(&id), language);
        let titles: BTreeSet<_> =
            Code::ALL.iter().map(|code| text(format!("problem_{}_title", code.as_str()))).collect();
        assert_eq!(titles.len(), Code::ALL.len(), "{language}");
        for code in Code::ALL {
            assert!(text(format!("problem_{}_detail", code.as_str())).ends_with('.'), "{language}: {code:?}");
        }
        let problems = messages(language).into_keys().filter(|id| id.starts_with("problem-")).count();
        assert_eq!(problems, 2 * Code::ALL.len(), "a title and a detail each");
    }
}

/// Two of each reason, where the remedy differs.
const REFUSED_AMOUNTS: [&str; 15] = [
    "",
    "x",
    "10 reais",
    "1.234",
    "1.230",
    "0.001",
    "10.0001",
    "149.99000000000001",
    "1e3",
    "1e400",
    "-5",
    "0",
    "10%",
    "US$ 1",
    "1000000000",
];
const REFUSED_DATES: [&str; 12] = [
    "",
    "x",
    "5/dez/2026",
    "12/25/2026",
    "31/02/2026",
    "00/00/0000",
    "5/12/26",
    "05-12-26",
    "46361",
    "2026-12-05T03:00",
    "2026-12-05T00:00Z",
    "1999-12-31",
];

/// The errors with data; the texts of the others are found by their codes.
fn errors_with_data() -> Vec<Text> {
    let (name, found, character) = (|| "nome".to_owned(), || "javascript:".to_owned(), CodePoint('\u{200b}'));
    let template = [
        TemplateProblem::ForbiddenCharacter { character },
        TemplateProblem::ForbiddenMarkup { found: found() },
        TemplateProblem::ForbiddenMarkup { found: "ftp://".to_owned() },
        TemplateProblem::NotAllowed { construct: name() },
        TemplateProblem::UnknownHelper { helper: name() },
        TemplateProblem::MissingCondition { helper: name() },
        TemplateProblem::InvalidName { name: name() },
        TemplateProblem::UnclosedBlock { helper: name() },
        TemplateProblem::UnopenedBlock { helper: name() },
        TemplateProblem::MismatchedClose { opened: name(), closed: name() },
        TemplateProblem::Syntax { message: name() },
    ];
    let template = template.map(|problem| TemplateError { line: 1, column: 2, problem });
    let variations = template.iter().map(|error| VariationsError::Template { variation: 2, error: error.clone() });
    let mut texts: Vec<_> = variations.map(|error| error.text()).collect();
    texts.extend(
        ["required", "additionalProperties", "pattern"]
            .map(|keyword| SchemaViolation { pointer: "/nome".to_owned(), keyword: keyword.to_owned() }.text()),
    );
    texts.extend(REFUSED_AMOUNTS.iter().filter_map(|text| Money::parse(text).err()).map(|error| error.text()));
    texts.extend(REFUSED_DATES.iter().filter_map(|text| parse_due_date(text).err()).map(|error| error.text()));
    texts.extend([
        VariationsError::Count { count: 6 }.text(),
        ContactNameError::InvalidCharacters { character }.text(),
        PhoneError::InvalidAreaCode { area_code: name() }.text(),
        ReferenceError.text(),
        OpenIntervalError::Weekday { weekday: 8 }.text(),
        RenderError::MissingVariable { name: name() }.text(),
        RenderError::ForbiddenMarkup { found: found() }.text(),
        RenderError::Engine { message: name() }.text(),
        VariablesError::TooMany { count: 51 }.text(),
        VariablesError::Reserved { name: name() }.text(),
        VariablesError::InvalidName { name: name() }.text(),
        VariablesError::NotScalar { name: name() }.text(),
        VariablesError::TooLong { name: name() }.text(),
        VariablesError::InvalidCharacters { name: name(), character }.text(),
        VariablesError::ForbiddenMarkup { name: name(), found: found() }.text(),
        SchemaError::TooLong.text(),
        SchemaError::TooDeep.text(),
        SchemaError::TooManyPatterns.text(),
        SchemaError::Reference { reference: name() }.text(),
        SchemaError::Invalid { path: name(), message: name() }.text(),
    ]);
    texts
}

/// [`render_text`] panics here where a text or its data is missing.
#[test]
fn errors_and_rules_of_the_domain_have_a_text_in_each_language() {
    for text in errors_with_data().into_iter().chain(Rule::ALL.map(Rule::text)) {
        let rendered: BTreeSet<_> = Language::ALL.map(|language| render_text(&text, language)).into();
        assert_eq!(rendered.len(), Language::ALL.len(), "{text:?}");
        assert!(rendered.iter().all(|text| !text.contains(['{', '\u{2068}']) || text.contains("{{")), "{rendered:?}");
    }
}

#[test]
fn data_and_parts_are_shown_unchanged() {
    let part = Text::of("template-invalid-name").with("name", "{ $x } \u{e1}\"");
    let text = Text::of("template-position").with("line", 1_000_000).with("column", 2).with_text("problem", part);
    let words = "\"{ $x } \u{e1}\"\" is no variable name. Use unaccented lower-case letters, digits and _, for example \
                 {{primeiro_nome}}.";
    assert_eq!(render_text(&text, Language::English), format!("Line 1000000, column 2: {words}"));
}
