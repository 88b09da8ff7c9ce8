//! A declared body: its errors and its schema.

use regua_domain::MessageType;
use serde_json::{Value, json};
use utoipa::PartialSchema;

use super::*;
use crate::http::{Line, Number};

body! {
    /// A body of the test.
    struct Request {
        /// The first member.
        #[example = "a"]
        name: Line<1, 5>,
        r#type: MessageType,
        count: Number<1, 9, i16> = 3,
        active: Option<bool>,
    }
}

body! {
    @closed struct Closed {
        word: MessageType,
    }
}

fn parse(body: &str) -> Result<Request, Problem> {
    Draft::<Request>::parse(body.as_bytes(), Language::English)?.finish()
}

/// Field and code of each error.
fn errors(body: &str) -> Vec<(String, String)> {
    let problem = parse(body).err().expect("the body has errors");
    problem.errors().iter().map(|error| (error.field.clone(), error.code.clone())).collect()
}

fn schema<T: PartialSchema>() -> Value {
    serde_json::to_value(T::schema()).unwrap()
}

#[test]
fn all_errors_of_a_body_are_answered_at_once() {
    let body = r#"{"name": "too long", "more": 1, "count": 10, "count": 1, "active": "yes"}"#;
    let expected = [
        ("count", "duplicate_field"),
        ("name", "too_long"),
        ("type", "required"),
        ("count", "invalid_number"),
        ("active", "wrong_type"),
        ("more", "unknown_field"),
    ];
    assert_eq!(errors(body), expected.map(|(field, code)| (field.to_owned(), code.to_owned())));
}

#[test]
fn error_of_a_check_precedes_those_of_unknown_members() {
    let mut draft =
        Draft::<Request>::parse(br#"{"name": "a", "type": "overdue", "more": 1}"#, Language::English).unwrap();
    assert_eq!((draft.name.as_deref(), draft.count), (Some("a"), Some(3)));
    draft.refuse("count", "too_few", &Text::of("field-required"));
    let problem = draft.finish().err().expect("the draft has errors");
    let fields: Vec<_> = problem.errors().iter().map(|error| error.field.as_str()).collect();
    assert_eq!(fields, ["count", "more"]);
}

#[test]
fn absent_and_null_members_get_their_defaults() {
    for body in [r#"{"name": "a", "type": "overdue"}"#, r#"{"name": "a", "type": "overdue", "count": null}"#] {
        let Ok(Request { name, r#type, count, active }) = parse(body) else { panic!("errors in {body}") };
        assert_eq!((name.as_str(), r#type, count, active), ("a", MessageType::Overdue, 3, None));
    }
}

#[test]
fn schema_of_a_body_has_the_limits_of_its_reader() {
    let expected = json!({
        "type": "object", "description": "A body of the test.", "required": ["name", "type"],
        "properties": {
            "name": {"type": "string", "description": "The first member.", "example": "a", "minLength": 1, "maxLength": 5},
            "type": {"type": "string", "enum": ["overdue", "upcoming", "notification"]},
            "count": {"type": ["integer", "null"], "format": "int32", "minimum": 1, "maximum": 9},
            "active": {"type": ["boolean", "null"]}
        }
    });
    assert_eq!(schema::<Request>(), expected);
    assert_eq!(schema::<Closed>()["additionalProperties"], json!(false));
}
