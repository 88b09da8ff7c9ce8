//! Reading of batches and contacts: their faults, and the fingerprint of a batch.

use serde_json::{Value, json};

use super::*;
use crate::http::{Code, FieldError};

fn now() -> DateTime<Utc> {
    "2026-11-23T13:00:00Z".parse().unwrap()
}

fn good() -> Value {
    json!({
        "external_id": "b-1",
        "scheduled_for": "2026-11-24T09:00:00-03:00",
        "metadata": {"filial": "0001"},
        "contacts": [{"external_id": "NF-1", "name": "Maria", "phone": "11988887777", "due_date": "2026-11-10",
                      "amount": "150.00"}]
    })
}

fn parse(body: &str) -> Result<Batch, Problem> {
    Batch::parse(body.as_bytes(), MessageType::Overdue, Language::English, now())
}

/// The good batch with members replaced.
fn with(members: &Value) -> Result<Batch, Problem> {
    let mut batch = good();
    batch.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    parse(&batch.to_string())
}

fn errors(parsed: Result<Batch, Problem>) -> Vec<(String, String)> {
    let problem = parsed.unwrap_err();
    assert_eq!(problem.code(), Code::ValidationFailed);
    problem.errors().iter().map(|FieldError { field, code, .. }| (field.clone(), code.clone())).collect()
}

fn read(message_type: MessageType, contact: &Value) -> Result<Contact, (String, &'static str)> {
    Contact::read(Fields::read(&contact.to_string()), message_type).map_err(|refusal| (refusal.field, refusal.code))
}

#[test]
fn batch_is_read_with_defaults() {
    let batch = parse(&good().to_string()).unwrap();
    assert_eq!(batch.external_id, "b-1");
    assert_eq!(batch.name, "Cobrança b-1");
    assert_eq!(batch.scheduled_for, Some("2026-11-24T12:00:00Z".parse().unwrap()));
    assert!(!batch.dry_run && batch.template.is_none() && batch.instance.is_none());
    assert_eq!(batch.contacts.len(), 1);
}

#[test]
fn leading_byte_order_mark_is_ignored() {
    assert!(parse(&format!("\u{feff}{}", good())).is_ok());
}

#[test]
fn invalid_json_is_malformed() {
    for body in ["", "{", "{]", r#"{"contacts": [}"#, "{} x", r#"{"a": tru}"#] {
        assert_eq!(parse(body).unwrap_err().code(), Code::MalformedJson, "{body}");
    }
    assert_eq!(
        Batch::parse(b"{\"a\":\"\xe9\"}", MessageType::Overdue, Language::English, now()).unwrap_err().code(),
        Code::MalformedJson
    );
}

#[test]
fn json_other_than_object_is_invalid() {
    for body in ["[]", "null", "1", "\"x\""] {
        assert_eq!(errors(parse(body)), [("body".to_owned(), "wrong_type".to_owned())], "{body}");
    }
}

#[test]
fn each_field_is_refused_for_its_fault() {
    let long = "x".repeat(201);
    let cases = [
        (json!({"external_id": null}), "external_id", "required"),
        (json!({"external_id": 7}), "external_id", "wrong_type"),
        (json!({"external_id": " "}), "external_id", "empty"),
        (json!({"external_id": long}), "external_id", "too_long"),
        (json!({"external_id": "a\u{0}b"}), "external_id", "invalid_characters"),
        (json!({"name": ["x"]}), "name", "wrong_type"),
        (json!({"template": "a\nb"}), "template", "invalid_characters"),
        (json!({"scheduled_for": "2026-11-23"}), "scheduled_for", "invalid_instant"),
        (json!({"scheduled_for": "2026-11-23T09:00:00"}), "scheduled_for", "invalid_instant"),
        (json!({"scheduled_for": 1_795_000_000}), "scheduled_for", "invalid_instant"),
        (json!({"scheduled_for": "2028-01-01T00:00:00Z"}), "scheduled_for", "too_far_ahead"),
        (json!({"dry_run": "true"}), "dry_run", "wrong_type"),
        (json!({"metadata": []}), "metadata", "wrong_type"),
        (json!({"metadata": {"a": "x".repeat(65 << 10)}}), "metadata", "too_large"),
        (json!({"metadata": "\u{7f}".repeat(65 << 10)}), "metadata", "wrong_type"),
        (json!({"metadata": {"a": ["\u{0}"]}}), "metadata", "invalid_characters"),
        (json!({"contacts": "\u{7f}".repeat(65 << 10)}), "contacts", "wrong_type"),
        (json!({"contacts": null}), "contacts", "required"),
        (json!({"contacts": {}}), "contacts", "wrong_type"),
        (json!({"contacts": []}), "contacts", "empty"),
        (json!({"contacts": vec![0; MAX_CONTACTS + 1]}), "contacts", "too_many"),
        (json!({"schedule_for": "2026-11-24T09:00:00-03:00"}), "schedule_for", "unknown_field"),
    ];
    for (members, field, code) in cases {
        assert_eq!(errors(with(&members)), [(field.to_owned(), code.to_owned())]);
    }
    assert!(with(&json!({"contacts": vec![0; MAX_CONTACTS]})).is_ok());
}

#[test]
fn all_faults_are_reported_at_once() {
    let wrong = errors(parse(r#"{"name": "", "dry_run": 1, "contacts": [], "contact": [], "name": "x"}"#));
    let fields: Vec<_> = wrong.iter().map(|(field, code)| format!("{field} {code}")).collect();
    assert_eq!(
        fields,
        [
            "name duplicate_field",
            "external_id required",
            "name empty",
            "dry_run wrong_type",
            "contacts empty",
            "contact unknown_field"
        ]
    );
}

#[test]
fn equal_batches_have_equal_fingerprints() {
    let fingerprint = |body: &str| parse(body).unwrap().fingerprint;
    let first = fingerprint(r#"{"external_id":"b","contacts":[{"name":"M","phone":"1","metadata":{"a":1,"b":[2]}}]}"#);
    let same = [
        r#"{ "contacts": [ {"metadata": {"b": [2], "a": 1}, "phone": "1", "name": "M"} ], "external_id": "b" }"#,
        r#"{"external_id":"b","dry_run":true,"contacts":[{"name":"M","phone":"1","metadata":{"a":1,"b":[2]}}]}"#,
        r#"{"external_id":"b","name":null,"contacts":[{"name":"M","due_date":null,"phone":"1","metadata":{"a":1,"b":[2]}}]}"#,
        r#"{"external_id":"b","contacts":[{"name":"\u004d","phone":"1","metadata":{"a":1,"b":[2]}}]}"#,
    ];
    for body in same {
        assert_eq!(fingerprint(body), first, "{body}");
    }
    let other = [
        r#"{"external_id":"c","contacts":[{"name":"M","phone":"1","metadata":{"a":1,"b":[2]}}]}"#,
        r#"{"external_id":"b","contacts":[{"name":"M","phone":"2","metadata":{"a":1,"b":[2]}}]}"#,
        r#"{"external_id":"b","contacts":[{"name":"M","phone":"1","metadata":{"a":"1","b":[2]}}]}"#,
        r#"{"external_id":"b","contacts":[{"name":"M","phone":"1","metadata":{"a":1,"b":2}}]}"#,
        r#"{"external_id":"b","template":"t","contacts":[{"name":"M","phone":"1","metadata":{"a":1,"b":[2]}}]}"#,
        r#"{"external_id":"b","instance":"t","contacts":[{"name":"M","phone":"1","metadata":{"a":1,"b":[2]}}]}"#,
        r#"{"external_id":"b","contacts":[{"name":"M","phone":"1","metadata":{"a":1,"b":[2]}},"\ud800"]}"#,
    ];
    let mut all: Vec<_> = other.into_iter().map(fingerprint).chain([first]).collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), other.len() + 1);
    let body = good().to_string();
    let upcoming = Batch::parse(body.as_bytes(), MessageType::Upcoming, Language::English, now()).unwrap();
    assert_ne!(fingerprint(&body), upcoming.fingerprint);
}

#[test]
fn numbers_with_the_same_float_are_different_in_the_fingerprint() {
    let fingerprint = |variables: &str| {
        let contact = format!(r#"{{"name":"M","phone":"1","variables":{variables}}}"#);
        let batch = parse(&format!(r#"{{"external_id":"b","contacts":[{contact}]}}"#)).unwrap();
        assert!(batch.contacts[0].is_some(), "{variables}");
        batch.fingerprint
    };
    let line = "34191790010104351004791020150008597730026000";
    let other = line.replace("6000", "6001");
    let first = fingerprint(&format!(r#"{{"linha":{line},"x":"a\"b","valor":150.10}}"#));
    assert_eq!(fingerprint(&format!(r#"{{"x":"a\"b", "valor":150.1,"linha":{line}}}"#)), first);
    assert_ne!(fingerprint(&format!(r#"{{"linha":{other},"x":"a\"b","valor":150.10}}"#)), first);
    assert_ne!(fingerprint(r#"{"linha":1e400}"#), fingerprint(r#"{"linha":1e401}"#));
}

#[test]
fn contact_is_refused_for_its_first_fault() {
    let with = |members: Value| {
        let mut contact = good()["contacts"][0].clone();
        contact.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        read(MessageType::Overdue, &contact).map(|_| ()).unwrap_err()
    };
    let cases = [
        (json!({"external_id": [5]}), "external_id", "wrong_type"),
        (json!({"external_id": "a\u{7}"}), "external_id", "invalid_characters"),
        (json!({"name": null}), "name", "required"),
        (json!({"name": "a\u{0}"}), "name", "name_invalid_characters"),
        (json!({"external_id": "a\u{200b}b"}), "external_id", "invalid_characters"),
        (json!({"name": "a\u{202e}b"}), "name", "name_invalid_characters"),
        (json!({"metadata": {"a": ["x\u{2066}"]}}), "metadata", "invalid_characters"),
        (json!({"metadata": {"a\u{0}": 1}}), "metadata", "invalid_characters"),
        (json!({"metadata": (0..17).fold(json!({}), |inner, _| json!({"a": inner}))}), "metadata", "too_deep"),
        (json!({"variables": {"link": "javascript:x"}}), "variables.link", "variable_forbidden_markup"),
        (json!({"phone": {"a": 1}}), "phone", "wrong_type"),
        (json!({"phone": "20 98888-7777"}), "phone", "phone_invalid_ddd"),
        (json!({"due_date": "2026-02-31"}), "due_date", "due_date_no_such_day"),
        (json!({"due_date": null}), "due_date", "required"),
        (json!({"amount": "1.234"}), "amount", "amount_ambiguous"),
        (json!({"amount": true}), "amount", "wrong_type"),
        (json!({"amount": "NULL"}), "amount", "required"),
        (json!({"name": " nan "}), "name", "required"),
        (json!({"phone": "#N/D"}), "phone", "required"),
        (json!({"amount": null}), "amount", "required"),
        (json!({"variables": [1]}), "variables", "wrong_type"),
        (json!({"variables": {"nome": "x"}}), "variables.nome", "reserved_variable"),
        (json!({"metadata": "x"}), "metadata", "wrong_type"),
        (json!({"metadata": {"a": "x".repeat(11 << 10)}}), "metadata", "too_large"),
        (json!({"metadata": vec_of_objects(100 << 10)}), "metadata", "too_large"),
        (json!({"external_id": "x".repeat(100 << 10)}), "external_id", "too_long"),
        (json!({"name": "x".repeat(100 << 10)}), "name", "name_too_long"),
        (json!({"amount": "-".repeat(100 << 10)}), "amount", "amount_malformed"),
        (json!({"variables": {"a": "x".repeat(100 << 10)}}), "variables.a", "variable_too_long"),
        (json!({"variables": {"a": [vec_of_objects(100 << 10)]}}), "variables.a", "variable_not_scalar"),
        (json!({"variables": many_variables(51)}), "variables", "too_many_variables"),
    ];
    for (members, field, code) in cases {
        assert_eq!(with(members), (field.to_owned(), code));
    }
    assert_eq!(
        read(MessageType::Overdue, &json!("x")).map(|_| ()).unwrap_err(),
        (WHOLE_CONTACT.to_owned(), "wrong_type")
    );
}

/// An object whose value takes many times the memory of its text.
fn vec_of_objects(bytes: usize) -> Value {
    json!({"a": vec![json!({"a": 0}); bytes / 8]})
}

fn many_variables(count: usize) -> Value {
    Value::Object((0..count).map(|n| (format!("v{n}"), json!("x"))).collect())
}

#[test]
fn size_of_metadata_is_counted_without_white_space() {
    let contact = format!(
        r#"{{"name": "Maria", "phone": "11988887777", "variables": {}, "metadata": {{"a":{}1}}}}"#,
        many_variables(50),
        " ".repeat(20 << 10)
    );
    let contact = Contact::read(Fields::read(&contact), MessageType::Notification).unwrap();
    assert_eq!((contact.metadata.as_str(), contact.variables.as_map().len()), (r#"{"a":1}"#, 50));
}

#[test]
fn contact_that_is_too_large_to_be_parsed_is_read_by_its_members() {
    let batch = |bytes: usize| {
        let mut contact = good()["contacts"][0].clone();
        contact["extra"] = vec_of_objects(bytes);
        with(&json!({"contacts": [contact]})).unwrap()
    };
    let (batch, same, other) = (batch(100 << 10), batch(100 << 10), batch(101 << 10));
    assert_eq!(batch.fingerprint, same.fingerprint);
    assert_ne!(batch.fingerprint, other.fingerprint);
    let json = batch.contacts[0].as_deref().unwrap().get();
    let read = Contact::read(Fields::read(json), MessageType::Overdue).unwrap();
    assert_eq!(read.unknown_fields.iter().collect::<Vec<_>>(), ["extra"]);
}

#[test]
fn notification_bill_is_optional_but_must_be_valid() {
    let contact = json!({"name": "Maria", "phone": "11988887777", "vencimento": "x"});
    let read_contact = read(MessageType::Notification, &contact).map_err(|_| ()).unwrap();
    assert_eq!(read_contact.unknown_fields.iter().collect::<Vec<_>>(), ["vencimento"]);
    assert_eq!(read(MessageType::Upcoming, &contact).map(|_| ()).unwrap_err(), ("due_date".to_owned(), "required"));
    let wrong = json!({"name": "Maria", "phone": "11988887777", "amount": "0"});
    assert_eq!(
        read(MessageType::Notification, &wrong).map(|_| ()).unwrap_err(),
        ("amount".to_owned(), "amount_not_positive")
    );
}

#[test]
fn values_are_read_without_blanks_and_numbers_by_their_digits() {
    let contact = |json: &str| Contact::read(Fields::read(json), MessageType::Overdue).unwrap();
    let blank = contact(
        r#"{"external_id":"NF-1  ","name":"  Maria  da Silva","phone":"11988887777\t","due_date":" 10/11/2026","amount":" 150,00 ",
            "variables":[],"metadata":[ ]}"#,
    );
    let exact = contact(
        r#"{"external_id":12345678901234567890,"name":"Maria da Silva","phone":11988887777,"due_date":"2026-11-10","amount":150.0}"#,
    );
    assert_eq!(blank.external_id.as_deref(), Some("NF-1"));
    assert_eq!(exact.external_id.as_deref(), Some("12345678901234567890"));
    for read in [blank, exact] {
        let day = read.due_date.unwrap().to_string();
        let amount = read.amount.unwrap().cents();
        assert_eq!((read.name.as_str(), read.phone.as_e164()), ("Maria da Silva", "+5511988887777"));
        assert_eq!((day.as_str(), amount, read.metadata.as_str()), ("2026-11-10", 15_000, "{}"));
    }
    let none = Contact::read(
        Fields::read(r#"{"external_id":"null","name":"M","phone":"11988887777"}"#),
        MessageType::Notification,
    );
    assert_eq!(none.unwrap().external_id, None);
}

#[test]
fn list_of_contacts_as_an_object_gets_a_hint() {
    let wrong = parse(r#"{"external_id":"b","contacts":{"0":{},"2":{}}}"#).unwrap_err();
    assert!(format!("{wrong:?}").contains("array_values"), "{wrong:?}");
    assert_eq!(errors(Err(wrong)), [("contacts".to_owned(), "wrong_type".to_owned())]);
}
