//! Composing of messages: accepted and rejected contacts, warnings, and the choice of the variation.

use serde_json::json;

use super::*;

fn composer(sources: &[&str], schema: Option<Value>) -> Composer {
    Composer {
        message_type: MessageType::Notification,
        language: Language::English,
        batch_id: "b-1".to_owned(),
        variations: Variations::parse(sources.iter().map(|&source| source.to_owned()).collect()).unwrap(),
        schema,
        cpu_time: Duration::from_secs(60),
        tenant: TenantId(uuid::Uuid::from_u128(7)),
        company: "Acme".to_owned(),
        first_reference: 0,
        today: "2026-11-23".parse().unwrap(),
        now: "2026-11-23T13:00:00Z".parse().unwrap(),
    }
}

fn contact(id: &str) -> Value {
    json!({"external_id": id, "name": "MARIA DA SILVA", "phone": "11988887777"})
}

fn items(contacts: &Value) -> Vec<Option<Box<RawValue>>> {
    contacts.as_array().unwrap().iter().map(|contact| serde_json::value::to_raw_value(contact).ok()).collect()
}

fn compose(composer: &Composer, contacts: &Value) -> Composed {
    composer.compose(items(contacts), &CancellationToken::new()).unwrap()
}

#[test]
fn days_late_count_to_sending_date() {
    let mut late = contact("a");
    late["due_date"] = "2026-11-10".into();
    let composer = composer(&["{{referencia}} {{primeiro_nome}}: {{dias_atraso}}, {{empresa}}"], None);
    let composed = compose(&composer, &json!([late]));
    assert_eq!(composed.contacts.texts, ["A5PJ78 Maria: 13, Acme"]);
    assert_eq!(composed.contacts.names, ["MARIA DA SILVA"]);
}

#[test]
fn accepted_contacts_keep_their_positions() {
    let contacts = json!([contact("a"), {"external_id": "b\u{0}", "name": ""}, "x", contact("a"), contact("c")]);
    let composed = compose(&composer(&["Oi {{nome}}"], None), &contacts);
    assert_eq!(composed.contacts.positions, [0, 4]);
    let rejected: Vec<_> = composed
        .rejected
        .iter()
        .map(|issue| (issue.index, issue.external_id.as_deref(), issue.field.as_str(), issue.code.as_str()))
        .collect();
    assert_eq!(
        rejected,
        [
            (1, Some("b"), "external_id", "invalid_characters"),
            (2, None, "contact", "wrong_type"),
            (3, Some("a"), "external_id", "duplicate_external_id"),
        ]
    );
    let fields: Vec<_> = composed.rejected.into_iter().map(|issue| FieldError::from(issue).field).collect();
    assert_eq!(fields, ["contacts[1].external_id", "contacts[2]", "contacts[3].external_id"]);
}

#[test]
fn missing_variable_is_refused_by_its_request_field() {
    for (source, field) in
        [("{{protocolo}}", "variables.protocolo"), ("{{valor}}", "amount"), ("{{vencimento}}", "due_date")]
    {
        let composed = compose(&composer(&[source], None), &json!([contact("a")]));
        assert_eq!(
            (composed.rejected[0].field.as_str(), composed.rejected[0].code.as_str()),
            (field, "missing_variable")
        );
    }
}

#[test]
fn schema_checks_variables_of_contact() {
    let schema = json!({"type": "object", "required": ["link"], "properties": {"link": {"type": "string"}}});
    let composer = composer(&["Oi"], Some(schema));
    let mut good = contact("b");
    good["variables"] = json!({"link": "https://x"});
    let composed = compose(&composer, &json!([contact("a"), good]));
    assert_eq!(composed.rejected[0].field, "variables.link");
    assert_eq!(composed.rejected[0].code, "variables_schema");
    assert_eq!(composed.contacts.variables, [r#"{"link":"https://x"}"#]);
}

#[test]
fn variation_of_contact_is_stable_and_all_variations_are_used() {
    let composer = composer(&["um", "dois", "três"], None);
    let contacts = Value::Array((0..60).map(|n| contact(&n.to_string())).collect());
    let (first, second) = (compose(&composer, &contacts).contacts, compose(&composer, &contacts).contacts);
    assert_eq!(first.texts, second.texts);
    assert_ne!(first.ids, second.ids);
    assert_eq!(first.variations.iter().collect::<BTreeSet<_>>().len(), 3);
}

#[test]
fn landlines_and_unknown_fields_get_warnings() {
    let landline = json!({"name": "A", "phone": "1133334444", "e_mail": "x"});
    let other = json!({"name": "B", "phone": "11988887777", "e_mail": "y"});
    let composed = compose(&composer(&["Oi"], None), &json!([landline, other]));
    let warnings: Vec<_> =
        composed.warnings.iter().map(|issue| (issue.index, issue.field.as_str(), issue.code.as_str())).collect();
    assert_eq!(warnings, [(0, "phone", "landline"), (0, "e_mail", "unknown_field")]);
    assert_eq!(composed.contacts.phones, ["+551133334444", "+5511988887777"]);
}

#[test]
fn contact_with_many_unknown_fields_gets_the_first_warnings() {
    let mut many = contact("a");
    for n in 0..1000 {
        many[format!("x{n:04}")] = json!(n);
    }
    let composed = compose(&composer(&["Oi"], None), &json!([{"x": 1}, many]));
    let fields: Vec<_> = composed.warnings.iter().map(|issue| issue.field.as_str()).collect();
    assert_eq!((fields.len(), fields[0], fields[19]), (20, "x0000", "x0019"));
}

#[test]
fn stopped_composing_composes_no_further_contact() {
    let stop = CancellationToken::new();
    stop.cancel();
    let result = composer(&["Oi"], None).compose(items(&json!([contact("a")])), &stop);
    assert!(matches!(result, Err(Uncomposed::Stopped)));
}

#[test]
fn batch_beyond_its_cpu_time_is_not_composed() {
    // The budget of two contacts is four milliseconds. 300,000 patterns read a thousand characters each.
    let patterns = vec![json!({"pattern": "^.*a.*b.*$"}); 30];
    let references = vec![json!({"$ref": "#/$defs/a"}); 500];
    let schema = json!({"$defs": {"a": {"allOf": patterns}}, "additionalProperties": {"allOf": references}});
    let mut long = contact("a");
    long["variables"] = (0..20).map(|n| (format!("x{n}"), json!("ab".repeat(500)))).collect();
    let contacts = json!([long, contact("b")]);
    let costly = Composer { cpu_time: Duration::ZERO, ..composer(&["Oi"], Some(schema)) };
    let result = costly.compose(items(&contacts), &CancellationToken::new());
    assert!(matches!(result, Err(Uncomposed::CostlySchema)));
    assert!(composer(&["Oi"], None).compose(items(&contacts), &CancellationToken::new()).is_ok());
}

#[test]
fn equal_contact_without_an_id_is_refused() {
    let one = json!({"name": "MARIA DA SILVA", "phone": "11988887777", "metadata": {"titulo": 1}});
    let (mut same, mut other) = (one.clone(), one.clone());
    same["phone"] = "(11) 98888-7777".into();
    other["metadata"] = json!({"titulo": 2});
    let contacts = json!([one, same, other, contact("NF-1"), contact("NF-1  "), contact("NF-2")]);
    let composed = compose(&composer(&["Oi {{nome}}"], None), &contacts);
    assert_eq!(composed.contacts.positions, [0, 2, 3, 5]);
    let codes: Vec<_> = composed.rejected.iter().map(|issue| (issue.index, issue.code.as_str())).collect();
    assert_eq!(codes, [(1, "duplicate_contact"), (4, "duplicate_external_id")]);
}

#[test]
fn warning_of_many_contacts_is_said_first() {
    let batch = |landlines: usize| {
        let phone = |n: usize| if n >= 60 - landlines { format!("113222{n:04}") } else { "11988887777".to_owned() };
        let one = |n: usize| json!({"external_id": format!("NF-{n}"), "name": "MARIA DA SILVA", "phone": phone(n)});
        let contacts = json!((0..60).map(one).collect::<Vec<_>>());
        let composed = compose(&composer(&["Oi {{nome}}"], None), &contacts);
        composed.warnings.into_iter().map(|issue| (issue.index, issue.code)).collect::<Vec<_>>()
    };
    let landline = |index: usize| (index, "landline".to_owned());
    assert_eq!(batch(3), [landline(57), landline(58), landline(59)], "five of a hundred are not more than 5 %");
    assert_eq!(batch(4)[..2], [(56, "frequent_warning".to_owned()), landline(56)]);
}
