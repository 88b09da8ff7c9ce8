//! Composing of messages: accepted and rejected contacts, warnings, and the choice of the variation.

use serde_json::json;

use super::*;

fn composer(sources: &[&str], schema: Option<Value>) -> Composer {
    Composer {
        message_type: MessageType::Notification,
        language: Language::English,
        batch_id: "b-1".to_owned(),
        variations: Variations::parse(sources.iter().map(|&source| source.to_owned()).collect()).unwrap(),
        schema: schema.map(|schema| VariablesSchema::parse(&schema).unwrap()),
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

fn items(contacts: &Value) -> Vec<Option<Value>> {
    contacts.as_array().unwrap().iter().cloned().map(Some).collect()
}

#[test]
fn days_late_count_to_sending_date() {
    let mut late = contact("a");
    late["due_date"] = "2026-11-10".into();
    let composer = composer(&["{{referencia}} {{primeiro_nome}}: {{dias_atraso}}, {{empresa}}"], None);
    let composed = composer.compose(vec![Some(late)]);
    assert_eq!(composed.contacts.texts, ["A5PJ78 Maria: 13, Acme"]);
    assert_eq!(composed.contacts.names, ["MARIA DA SILVA"]);
}

#[test]
fn accepted_contacts_keep_their_positions() {
    let contacts = json!([contact("a"), {"external_id": "b\u{0}", "name": ""}, "x", contact("a"), contact("c")]);
    let composed = composer(&["Oi {{nome}}"], None).compose(items(&contacts));
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
        let composed = composer(&[source], None).compose(vec![Some(contact("a"))]);
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
    let composed = composer.compose(vec![Some(contact("a")), Some(good)]);
    assert_eq!(composed.rejected[0].field, "variables.link");
    assert_eq!(composed.rejected[0].code, "variables_schema");
    assert_eq!(composed.contacts.variables, [r#"{"link":"https://x"}"#]);
}

#[test]
fn variation_of_contact_is_stable_and_all_variations_are_used() {
    let composer = composer(&["um", "dois", "três"], None);
    let contacts = || (0..60).map(|n| Some(contact(&n.to_string()))).collect::<Vec<_>>();
    let (first, second) = (composer.compose(contacts()).contacts, composer.compose(contacts()).contacts);
    assert_eq!(first.texts, second.texts);
    assert_ne!(first.ids, second.ids);
    assert_eq!(first.variations.iter().collect::<BTreeSet<_>>().len(), 3);
}

#[test]
fn landlines_and_unknown_fields_get_warnings() {
    let landline = json!({"name": "A", "phone": "1133334444", "e_mail": "x"});
    let other = json!({"name": "B", "phone": "11988887777", "e_mail": "y"});
    let composed = composer(&["Oi"], None).compose(vec![Some(landline), Some(other)]);
    let warnings: Vec<_> =
        composed.warnings.iter().map(|issue| (issue.index, issue.field.as_str(), issue.code.as_str())).collect();
    assert_eq!(warnings, [(0, "phone", "landline"), (0, "e_mail", "unknown_field")]);
    assert_eq!(composed.contacts.phones, ["+551133334444", "+5511988887777"]);
}
