//! The body of a send in the OpenAPI document. `intake::batch` reads the body, so that every fault is reported at once
//! and an invalid contact does not reject valid ones. A test compares the two.

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::Value;
use std::collections::HashMap;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{RefOr, Schema};

/// A batch of contacts. Its texts may not contain control characters, invisible characters or direction marks.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "OpenAPI schema only")]
pub(super) struct SendRequest {
    /// Unique per tenant. The same batch posted again is not sent again.
    #[schema(min_length = 1, max_length = 200, example = "ERP-2026-11-21-0001")]
    external_id: String,
    /// For people. Default: made of the type and `external_id`.
    #[schema(min_length = 1, max_length = 200, example = "Cobrança novembro")]
    name: Option<String>,
    /// Name of the template. Default: the tenant's default for the type.
    #[schema(min_length = 1, max_length = 200, example = "cobranca-padrao")]
    template: Option<String>,
    /// Name of the instance. Default: the tenant's default for the type.
    #[schema(min_length = 1, max_length = 200, example = "matriz")]
    instance: Option<String>,
    /// Sending begins at this time, at most a year ahead. A time in the past means now.
    #[schema(example = "2026-11-23T09:00:00-03:00")]
    scheduled_for: Option<DateTime<Utc>>,
    /// Answers with the messages that would be sent, and stores nothing.
    #[schema(default = false)]
    dry_run: Option<bool>,
    /// Any object, up to 64 KB and 16 levels.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
    /// Valid contacts are accepted even when others are invalid.
    #[schema(min_items = 1, max_items = 10_000)]
    contacts: Vec<SendContact>,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "OpenAPI schema only")]
struct SendContact {
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
