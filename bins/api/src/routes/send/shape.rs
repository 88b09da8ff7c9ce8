//! The body of a send, as the OpenAPI document describes it. It is read by `batch` and not by these types, so that all that
//! is wrong is answered at once and a bad contact spoils no good one; a test holds the two together.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{RefOr, Schema};

/// A batch of contacts. No text of it may hold control characters, or such as are invisible or turn the direction of text.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it describes the body")]
pub(super) struct SendRequest {
    /// Unique per tenant: the same batch posted again is not sent again.
    #[schema(min_length = 1, max_length = 200, example = "ERP-2026-11-21-0001")]
    external_id: String,
    /// For people; derived from type and `external_id` where absent.
    #[schema(min_length = 1, max_length = 200, example = "Cobrança novembro")]
    name: Option<String>,
    /// The template's name; the tenant's default for the type where absent.
    #[schema(min_length = 1, max_length = 200, example = "cobranca-padrao")]
    template: Option<String>,
    /// The instance's name; the tenant's default for the type where absent.
    #[schema(min_length = 1, max_length = 200, example = "matriz")]
    instance: Option<String>,
    /// Not before then; at most a year ahead. In the past it means now.
    #[schema(example = "2026-11-23T09:00:00-03:00")]
    scheduled_for: Option<DateTime<Utc>>,
    /// Show what would be sent, and store nothing.
    #[schema(default = false)]
    dry_run: Option<bool>,
    /// The caller's own, up to 64 KB and nested at most 16 deep.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
    /// Good ones are taken even where others are bad.
    #[schema(min_items = 1, max_items = 10_000)]
    contacts: Vec<SendContact>,
}

/// Somebody to write to.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes the body")]
struct SendContact {
    /// The caller's id, unique in the batch.
    #[schema(min_length = 1, max_length = 200, example = "NF-123")]
    external_id: Option<String>,
    #[schema(min_length = 1, max_length = 200, example = "Maria da Silva")]
    name: String,
    /// Brazilian as ERPs hold it, or E.164 with its plus.
    #[schema(min_length = 7, max_length = 40, example = "(11) 98888-7777")]
    phone: String,
    /// Required for overdue and upcoming.
    #[schema(example = "2026-11-10")]
    due_date: Option<NaiveDate>,
    /// In reais with a dot, as a string. Required for overdue and upcoming.
    #[schema(example = "150.00", pattern = r"^\d+(\.\d{1,2})?$")]
    amount: Option<String>,
    /// For the template: up to 50 strings, numbers and booleans.
    #[schema(schema_with = variables_schema, required = false)]
    variables: Option<HashMap<String, Value>>,
    /// The caller's own, up to 10 KB and nested at most 16 deep.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
}

/// Names as templates write them, and values as they are printed.
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
