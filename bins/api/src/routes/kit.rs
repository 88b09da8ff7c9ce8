//! The names that the file of a resource uses. Each begins with `use crate::routes::kit::*`; docs/new-resource.md shows
//! one.

pub(super) use axum::Json;
pub(super) use axum::http::Uri;
pub(super) use chrono::{DateTime, Utc};
pub(super) use regua_domain::Text;
pub(super) use serde::Serialize;
pub(super) use serde_json::{Value, json};
pub(super) use sqlx::PgConnection;
pub(super) use utoipa::ToSchema;
pub(super) use utoipa::openapi::{ArrayBuilder, Schema};
pub(super) use utoipa_axum::router::OpenApiRouter;
pub(super) use utoipa_axum::routes;
pub(super) use uuid::Uuid;

pub(super) use crate::callers::{Access, Administer, Operate, Platform, Principal, Read};
pub(super) use crate::context::Context;
pub(super) use crate::http::{
    Answer, Body, Code, Created, DONE, Done, Draft, Field, InPath, Line, Member, Number, Parameters, Password, Problem,
    Valid, accepted, body, created, found, record_field, text, word_members, words,
};

/// The answer of a listing: `items! { Keys of ListedKey }` has all rows, `items! { page AuditPage of Entry }` a page of
/// them.
macro_rules! items {
    ($name:ident of $row:ty) => {
        #[derive(serde::Serialize, utoipa::ToSchema)]
        struct $name {
            items: Vec<$row>,
        }
    };
    (page $name:ident of $row:ty) => {
        #[derive(serde::Serialize, utoipa::ToSchema)]
        struct $name {
            items: Vec<$row>,
            /// Cursor of the next page; null on the last page.
            next_cursor: Option<String>,
        }

        impl $name {
            /// The cursor of the next page is that of the last row.
            fn of(page: regua_store::PageRows<$row>, cursor: impl Fn(&$row) -> String) -> Self {
                let next_cursor = page.rows.last().filter(|_| page.has_more).map(cursor);
                Self { items: page.rows, next_cursor }
            }
        }
    };
}
pub(super) use items;

/// Maps the foreign-key violation of a delete to `in_use`.
pub(super) fn unless_in_use(deleted: Result<(), sqlx::Error>, text: Text) -> Result<(), Problem> {
    match deleted {
        Err(sqlx::Error::Database(error)) if error.is_foreign_key_violation() => {
            Err(Problem::with_detail(Code::InUse, text))
        }
        deleted => Ok(deleted?),
    }
}

/// Refuses a change that the tenant's other objects do not allow, such as one object too many.
pub(super) fn refuse_unless(is_allowed: bool, text: Text) -> Result<(), Problem> {
    if is_allowed { Ok(()) } else { Err(Problem::conflict(text)) }
}
