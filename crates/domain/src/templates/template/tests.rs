//! Rendering, refusals with their positions, and speed.

mod active;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{Argument, ContactDetails, ContactName, Money, OwnVariables, PhoneNumber, Reference, Text};

fn variables(own: &Value) -> Variables {
    let details = ContactDetails {
        name: &ContactName::parse("MARIA DA SILVA").unwrap(),
        phone: &PhoneNumber::parse("11988887777").unwrap(),
        amount: Some(Money::parse("1234.56").unwrap()),
        due_date: Some("2026-11-10".parse().unwrap()),
        company: "ACME & Filhos",
        reference: Reference::parse("7K3F9Q").unwrap(),
    };
    Variables::new(&details, &OwnVariables::parse(own.as_object().unwrap()).unwrap(), "2026-11-21".parse().unwrap())
}

fn rendered(source: &str, own: &Value) -> Result<String, RenderError> {
    MessageTemplate::parse(source).unwrap().render(&variables(own))
}

#[test]
fn variables_conditions_and_comments_are_rendered() {
    for (source, own, expected) in [
        ("Olá {{primeiro_nome}}!", json!({}), "Olá Maria!"),
        ("{{ empresa }}", json!({}), "ACME & Filhos"),
        ("{{#if link}}Pague: {{link}}{{/if}}.", json!({"link": "https://x"}), "Pague: https://x."),
        ("{{#if link}}Pague: {{link}}{{/if}}.", json!({}), "."),
        ("{{#if x}}sim{{else}}não{{/if}}", json!({"x": ""}), "não"),
        ("{{#if x}}sim{{else}}não{{/if}}", json!({"x": 0}), "não"),
        ("{{#if x}}sim{{else}}não{{/if}}", json!({"x": 0.5}), "sim"),
        ("{{#if x}}sim{{else}}não{{/if}}", json!({"x": false}), "não"),
        ("{{#if x}}sim{{else}}não{{/if}}", json!({"x": "0"}), "não"),
        ("{{#if x}}sim{{else}}não{{/if}}", json!({"x": "NÃO"}), "não"),
        ("{{#if x}}sim{{else}}não{{/if}}", json!({"x": "R$ 0,00"}), "não"),
        ("{{#if x}}sim{{else}}não{{/if}}", json!({"x": "S"}), "sim"),
        ("{{#unless x}}não{{else}}sim{{/unless}}", json!({"x": "N"}), "não"),
        ("{{#unless x}}não{{/unless}}.", json!({}), "não."),
        ("{{#unless x}}não{{else}}sim{{/unless}}", json!({"x": true}), "sim"),
        ("{{#if x}}{{#unless y}}só x{{/unless}}{{/if}}.", json!({"x": 1}), "só x."),
        ("{{! nota }}a{{!-- {{nome}} --}}b", json!({}), "ab"),
        ("{{#if dias_atraso}}{{dias_atraso}} dias{{/if}}", json!({}), "11 dias"),
        ("<b>{{len}}</b> {1} \\ x", json!({"len": "\"&'"}), "<b>\"&'</b> {1} \\ x"),
        ("a{{!--}}b{{!-- }} --}}c", json!({}), "ac"),
        ("a\r\nb", json!({}), "a\nb"),
        ("{{#if x}}\nlinha\n{{/if}}\nfim", json!({"x": 1}), "linha\nfim"),
    ] {
        assert_eq!(rendered(source, &own), Ok(expected.to_owned()), "{source}");
    }
}

#[test]
fn missing_variable_is_reported_unless_its_branch_is_skipped() {
    for (source, expected) in [
        ("Pague {{link}}", Some("link")),
        ("{{#if x}}{{link}}{{else}}ok{{/if}}", None),
        ("{{#unless x}}{{link}}{{/unless}}", Some("link")),
        ("{{lookup_}} {{_x}}", Some("lookup_")),
    ] {
        let missing = rendered(source, &json!({})).err();
        assert_eq!(missing, expected.map(|name| RenderError::MissingVariable { name: name.to_owned() }), "{source}");
    }
}

#[test]
fn blank_or_too_long_message_is_refused() {
    assert_eq!(rendered("{{#if x}}a{{/if}}\n", &json!({})), Err(RenderError::Blank));
    assert_eq!(rendered("{{x}}", &json!({"x": " "})), Err(RenderError::Blank));
    let many = "{{x}}".repeat(5);
    assert_eq!(rendered(&many, &json!({"x": "x".repeat(1000)})), Err(RenderError::TooLong));
    assert_eq!(rendered(&"á".repeat(4096), &json!({})).unwrap().chars().count(), 4096);
}

#[test]
fn other_constructs_are_refused_with_their_position() {
    for (source, code, line, column) in [
        ("", "template_empty", 1, 1),
        (" \n\t ", "template_empty", 1, 1),
        ("{{! só }}", "template_empty", 1, 1),
        ("{{#if x}} {{/if}}", "template_empty", 1, 1),
        ("olá\n  {{nome", "template_unclosed_tag", 2, 3),
        ("olá {{nome {{valor}}", "template_unclosed_tag", 1, 5),
        ("olá {{nome}", "template_unclosed_tag", 1, 5),
        ("{{!-- x }}", "template_unclosed_tag", 1, 1),
        ("{{!--}}", "template_unclosed_tag", 1, 1),
        ("á nome}} x", "template_stray_braces", 1, 7),
        ("{{nome}}} x", "template_stray_braces", 1, 7),
        ("{{{nome}}}", "template_not_allowed", 1, 1),
        ("{{&nome}}", "template_not_allowed", 1, 1),
        ("{{{{raw}}}}x{{{{/raw}}}}", "template_not_allowed", 1, 1),
        ("x \\{{nome}}", "template_not_allowed", 1, 3),
        ("{{~nome}}", "template_not_allowed", 1, 1),
        ("{{nome~}}", "template_not_allowed", 1, 1),
        ("{{> parte}}", "template_not_allowed", 1, 1),
        ("{{#> parte}}{{/parte}}", "template_not_allowed", 1, 1),
        ("{{* inline}}", "template_not_allowed", 1, 1),
        ("{{#*inline \"x\"}}{{/inline}}", "template_not_allowed", 1, 1),
        ("{{#if x}}a{{^}}b{{/if}}", "template_not_allowed", 1, 11),
        ("{{#if x}}a{{else if y}}b{{/if}}", "template_not_allowed", 1, 11),
        ("a\n\n{{#each x}}b{{/each}}", "template_unknown_helper", 3, 1),
        ("{{#with x}}b{{/with}}", "template_unknown_helper", 1, 1),
        ("{{lookup x y}}", "template_unknown_helper", 1, 1),
        ("{{log \"x\"}}", "template_unknown_helper", 1, 1),
        ("{{upper nome}}", "template_unknown_helper", 1, 1),
        ("{{#nome}}x{{/nome}}", "template_unknown_helper", 1, 1),
        ("{{#if}}x{{/if}}", "template_missing_condition", 1, 1),
        ("{{#if x y}}x{{/if}}", "template_invalid_name", 1, 1),
        ("{{#if x includeZero=true}}x{{/if}}", "template_invalid_name", 1, 1),
        ("{{#if (not x)}}x{{/if}}", "template_invalid_name", 1, 1),
        ("{{#if true}}x{{/if}}", "template_invalid_name", 1, 1),
        ("{{(nome)}}", "template_invalid_name", 1, 1),
        ("{{cliente.nome}}", "template_invalid_name", 1, 1),
        ("{{../nome}}", "template_invalid_name", 1, 1),
        ("{{@root}}", "template_invalid_name", 1, 1),
        ("{{this}}", "template_invalid_name", 1, 1),
        ("{{\"x\"}}", "template_invalid_name", 1, 1),
        ("{{1}}", "template_invalid_name", 1, 1),
        ("{{}}", "template_invalid_name", 1, 1),
        ("{{Nome}}", "template_invalid_name", 1, 1),
        ("{{endereço}}", "template_invalid_name", 1, 1),
        ("{{#if x}}a{{/if\u{a0}}}", "template_unknown_helper", 1, 11),
        ("{{\u{a0}nome}}", "template_invalid_name", 1, 1),
        ("{{#if x\u{a0}}}a{{/if}}", "template_invalid_name", 1, 1),
        ("{{n{\tk}}", "template_invalid_name", 1, 1),
        ("{{log}}", "template_invalid_name", 1, 1),
        ("{{elsewhere}}", "template_invalid_name", 1, 1),
        ("a {{#if x}}\nb {{#unless y}}c{{/unless}}", "template_unclosed_block", 1, 3),
        ("a{{/if}}", "template_unopened_block", 1, 2),
        ("{{#if x}}a{{/unless}}", "template_mismatched_close", 1, 11),
        ("{{#if x}}{{#unless y}}a{{/if}}{{/unless}}", "template_mismatched_close", 1, 24),
        ("a{{else}}b", "template_else_outside_block", 1, 2),
        ("{{#if x}}a{{else}}b{{else}}c{{/if}}", "template_second_else", 1, 20),
        ("a\0", "template_forbidden_character", 1, 2),
        ("a\n\u{1b}[1m", "template_forbidden_character", 2, 1),
        ("a\rb", "template_forbidden_character", 1, 2),
        ("a\u{202e}b", "template_forbidden_character", 1, 2),
        ("java\u{200b}script:x", "template_forbidden_character", 1, 5),
        ("pa\u{200d}gue", "template_forbidden_character", 1, 3),
    ] {
        let error = MessageTemplate::parse(source).unwrap_err();
        assert_eq!((error.code(), error.line, error.column), (code, line, column), "{source:?}: {error}");
        let text = error.text();
        let place = [("line", Argument::Data(line.to_string())), ("column", Argument::Data(column.to_string()))];
        assert_eq!((text.id(), &text.arguments()[..2]), ("template-position", &place[..]));
    }
}

#[test]
fn blocks_nest_eight_deep_and_no_deeper() {
    let nested = |depth: usize| format!("{}a{}", "{{#if x}}".repeat(depth), "{{/if}}".repeat(depth));
    assert!(MessageTemplate::parse(&nested(8)).is_ok());
    let error = MessageTemplate::parse(&nested(9)).unwrap_err();
    assert_eq!((error.code(), error.column), ("template_too_deep", 73));
    let long = MessageTemplate::parse(&"á".repeat(4097)).unwrap_err();
    assert_eq!((long.code(), long.column), ("template_too_long", 4097));
}

#[test]
fn template_lists_its_variables() {
    let template = MessageTemplate::parse("{{nome}} {{#if link}}{{link}}{{else}}{{valor}}{{/if}}").unwrap();
    assert_eq!(template.variables().iter().collect::<Vec<_>>(), ["link", "nome", "valor"]);
    assert!(template.variables().contains("link") && !template.variables().contains("vencimento"));
}

#[test]
fn invalid_variation_is_reported_by_its_number() {
    let parse = |sources: &[&str]| Variations::parse(sources.iter().map(|source| (*source).to_owned()).collect());
    let error = parse(&["a", "b {{", "c"]).unwrap_err();
    assert_eq!(error.code(), "template_unclosed_tag");
    let problem = TemplateError { line: 1, column: 3, problem: TemplateProblem::UnclosedTag };
    let text = Text::of("template-variation").with("variation", 2).with_text("problem", problem.text());
    assert_eq!(error.text(), text);
    assert_eq!(parse(&[]).unwrap_err().code(), "template_variation_count");
    assert_eq!(parse(&["a"; 6]).unwrap_err().code(), "template_variation_count");
    let variations = parse(&["a", "b", "c", "d", "e"]).unwrap();
    assert_eq!(variations.get(5).map(MessageTemplate::source), Some("e"));
    assert!(variations.get(0).is_none() && variations.get(6).is_none());
    let (number, chosen) = variations.choose(b"NF-123");
    assert_eq!(variations.get(number).map(MessageTemplate::source), Some(chosen.source()));
}

#[test]
fn ten_thousand_messages_are_rendered_within_one_request() {
    const REALISTIC: &str = "Olá {{primeiro_nome}}, aqui é da {{empresa}}.\n\n\
        {{#if dias_atraso}}Sua fatura de {{valor}} venceu em {{vencimento}}, há {{dias_atraso}} dias.\
        {{else}}Sua fatura de {{valor}} vence em {{vencimento}}.{{/if}}\n\
        {{#if link_boleto}}Pague aqui: {{link_boleto}}{{#if pix}}\nOu por Pix: {{pix}}{{/if}}\
        {{else}}Responda para receber o boleto.{{/if}}\n\
        {{#unless parcelado}}Consulte parcelamento.{{/unless}}\nRef. {{referencia}}";
    let template = MessageTemplate::parse(REALISTIC).unwrap();
    let own = json!({"link_boleto": "https://pagar.example/123", "pix": "00020126BR.GOV.BCB.PIX"});
    let all: Vec<Variables> = (0..10_000).map(|_| variables(&own)).collect();
    let started = std::time::Instant::now();
    let characters: usize = all.iter().map(|variables| template.render(variables).unwrap().len()).sum();
    let took = started.elapsed();
    assert!(characters > 10_000 * 100);
    println!("10,000 messages took {took:?}");
    // 3.3 µs each in release (2 cores, Rust 1.95); the limit is for a busy machine without optimisation.
    assert!(took.as_secs() < 10, "10,000 messages took {took:?}");
}

fn any_piece() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec!["nome", "x", "_y1", "len", "else_", "as_", "true_", "true"]);
    prop_oneof![
        "[a-z {}\\\\\n<&;!~-]{0,6}",
        name.clone().prop_map(|name| format!("{{{{{name}}}}}")),
        name.prop_map(|name| format!("{{{{ #if  {name} }}}}")),
        prop::sample::select(vec![
            "{{else}}",
            "{{/if}}",
            "{{ /if }}",
            "{{#unless x}}",
            "{{/unless}}",
            "{{! c }}",
            "{{!-- }} --}}",
            "{{!--}}",
            "{{! -- }}"
        ])
        .prop_map(str::to_owned),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn engine_accepts_every_allowed_template(pieces in prop::collection::vec(any_piece(), 0..12)) {
        let source = pieces.concat();
        match MessageTemplate::parse(&source) {
            Ok(template) => {
                let expected = |error: &RenderError| !matches!(error, RenderError::Engine { .. });
                let error = template.render(&variables(&json!({}))).err();
                prop_assert!(error.as_ref().is_none_or(expected), "{:?}", error);
            }
            Err(error) => prop_assert_ne!(error.code(), "template_syntax", "{:?}: {}", source, error),
        }
    }

    #[test]
    fn no_text_panics(source in "\\PC{0,80}") {
        if let Err(error) = MessageTemplate::parse(&source) {
            prop_assert!(error.line >= 1 && error.column >= 1);
        }
    }

    #[test]
    fn text_without_braces_is_rendered_unchanged(source in "[a-zA-Z0-9çãé \n.,*_~]{1,80}[a-z]") {
        prop_assert_eq!(rendered(&source, &json!({})), Ok(source));
    }
}

#[test]
fn message_has_its_reference_in_the_template_or_as_last_line() {
    let reference = Reference::parse("7K3F9Q").unwrap();
    for (source, expected) in [
        ("Ref. {{referencia}}: olá", "Ref. 7K3F9Q: olá"),
        ("Olá {{primeiro_nome}}!\n", "Olá Maria!\n\nRef. 7K3F9Q"),
        ("{{#if link}}{{referencia}}{{/if}}Olá", "Olá\n\nRef. 7K3F9Q"),
    ] {
        let template = MessageTemplate::parse(source).unwrap();
        assert_eq!(template.message(&variables(&json!({})), reference), Ok(expected.to_owned()), "{source}");
    }
    let longest = MessageTemplate::parse(&"a".repeat(MAX_CHARACTERS)).unwrap();
    assert!(longest.render(&variables(&json!({}))).is_ok());
    assert_eq!(longest.message(&variables(&json!({})), reference), Err(RenderError::TooLong));
}
