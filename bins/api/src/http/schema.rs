//! Schemas of the OpenAPI document that several routes use.

use utoipa::PartialSchema;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};

pub(crate) fn message_type_schema() -> RefOr<Schema> {
    regua_domain::MessageType::schema()
}

pub(crate) fn queue_status_schema() -> RefOr<Schema> {
    regua_domain::QueueStatus::schema()
}

/// A string with one of these values.
pub(crate) fn words(words: impl IntoIterator<Item = &'static str>) -> Schema {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).into()
}
