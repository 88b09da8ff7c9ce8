//! A contact in the OpenAPI document. `contact` reads it, so that an invalid contact does not reject valid ones. A test
//! compares the two.

use std::collections::HashMap;

use chrono::NaiveDate;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{RefOr, Schema};

#[derive(ToSchema)]
#[expect(dead_code, reason = "OpenAPI schema only")]
pub(super) struct SendContact {
    /// The ERP's id, unique in the batch.
    #[schema(min_length = 1, max_length = 200, example = "NF-123")]
    external_id: Option<String>,
    #[schema(min_length = 1, max_length = 200, example = "Maria da Silva")]
    name: String,
    /// A Brazilian number in any usual form, or E.164 with the plus sign.
    #[schema(min_length = 7, max_length = 40, example = "(11) 98888-7777")]
    phone: String,
    /// Required for overdue and upcoming.
    #[schema(example = "2026-11-10")]
    due_date: Option<NaiveDate>,
    /// In reais, as a string with a decimal point. Required for overdue and upcoming.
    #[schema(example = "150.00", pattern = r"^\d+(\.\d{1,2})?$")]
    amount: Option<String>,
    #[schema(schema_with = variables_schema, required = false)]
    variables: Option<HashMap<String, Value>>,
    /// Any object, up to 10 KB and 16 levels.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
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
