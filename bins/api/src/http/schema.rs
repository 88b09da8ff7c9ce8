//! Schemas of the OpenAPI document that several routes use.

use regua_domain::{MessageType, QueueStatus, Scope};
use utoipa::openapi::{ArrayBuilder, ObjectBuilder, RefOr, Schema, Type};

pub(crate) fn message_type_schema() -> RefOr<Schema> {
    words(MessageType::ALL.iter().map(|message_type| message_type.as_str()))
}

pub(crate) fn message_types_schema() -> RefOr<Schema> {
    RefOr::T(ArrayBuilder::new().items(message_type_schema()).min_items(Some(1)).max_items(Some(3)).into())
}

pub(crate) fn scopes_schema() -> RefOr<Schema> {
    let scopes = words(Scope::ALL.iter().map(|scope| scope.as_str()));
    RefOr::T(ArrayBuilder::new().items(scopes).min_items(Some(1)).max_items(Some(Scope::ALL.len())).into())
}

pub(crate) fn queue_status_schema() -> RefOr<Schema> {
    words(QueueStatus::ALL.iter().map(|status| status.as_str()))
}

/// A string with one of these values.
pub(crate) fn words(words: impl IntoIterator<Item = &'static str>) -> RefOr<Schema> {
    RefOr::T(ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).into())
}
