//! A contact in the OpenAPI document. `contact` reads it, so that an invalid contact does not reject valid ones. A test
//! compares the two.

use std::collections::HashMap;

use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{RefOr, Schema};

#[derive(ToSchema)]
#[expect(dead_code, reason = "OpenAPI schema only")]
pub(super) struct SendContact {
    #[schema(schema_with = id_schema, required = false)]
    external_id: Option<String>,
    #[schema(min_length = 1, max_length = 200, example = "Maria da Silva")]
    name: String,
    #[schema(schema_with = phone_schema)]
    phone: String,
    /// ISO 8601, or a usual Brazilian form such as `10/11/2026`. Required for overdue and upcoming.
    #[schema(min_length = 1, max_length = 40, example = "2026-11-10")]
    due_date: Option<String>,
    #[schema(schema_with = amount_schema, required = false)]
    amount: Option<String>,
    #[schema(schema_with = variables_schema, required = false)]
    variables: Option<HashMap<String, Value>>,
    /// Any object, up to 10 KB and 16 levels.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
}

fn id_schema() -> RefOr<Schema> {
    text_or(
        [Type::Integer, Type::Null],
        "The ERP's id, unique in the batch. Blanks at its ends do not count.",
        200,
        "NF-123",
    )
}

fn phone_schema() -> RefOr<Schema> {
    let about = "A Brazilian number in any usual form, or E.164 with the plus sign.";
    text_or([Type::Integer], about, 200, "(11) 98888-7777")
}

fn amount_schema() -> RefOr<Schema> {
    let about = "In reais: `150.00`, `1.234,56`, or a number. Required for overdue and upcoming.";
    text_or([Type::Number, Type::Null], about, 200, "150.00")
}

/// A text, or a value of other types.
fn text_or<const N: usize>(others: [Type; N], about: &str, most: usize, example: &str) -> RefOr<Schema> {
    let types = SchemaType::from_iter([Type::String].into_iter().chain(others));
    let schema = ObjectBuilder::new().schema_type(types).description(Some(about)).max_length(Some(most));
    RefOr::T(schema.min_length(Some(1)).examples([example]).into())
}

fn variables_schema() -> RefOr<Schema> {
    let scalar = [Type::String, Type::Number, Type::Boolean, Type::Null];
    let scalar = ObjectBuilder::new().schema_type(SchemaType::from_iter(scalar)).max_length(Some(1000));
    let name = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[a-z_][a-z0-9_]{0,39}$")).build();
    let variables = ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Object, Type::Null]))
        .description(Some(
            "For the template: up to 50 strings, numbers and booleans. Links begin with https:// or http://.",
        ))
        .property_names(Some(name))
        .additional_properties(Some(scalar))
        .max_properties(Some(50))
        .examples([serde_json::json!({"link_boleto": "https://pagar.example/123"})]);
    RefOr::T(variables.into())
}
