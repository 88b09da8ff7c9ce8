//! The names that the file of a resource uses. Each begins with `use crate::routes::kit::*`; docs/new-resource.md shows
//! one.

pub(super) use axum::Json;
pub(super) use axum::extract::State;
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

pub(super) use crate::callers::{Access, Administer, Change, Operate, Platform, Principal, Read};
pub(super) use crate::context::Context;
pub(super) use crate::http::{
    Answer, Body, Code, Created, DONE, Done, Draft, Field, InPath, Line, Member, Number, Parameters, PathId, Problem,
    Valid, accepted, body, created, found, text, word_members, words,
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
            /// The page of rows that were read with one more than `limit`.
            fn cut(rows: Vec<$row>, limit: i64, cursor: impl Fn(&$row) -> String) -> Self {
                let (items, next_cursor) = crate::http::page(rows, limit, cursor);
                Self { items, next_cursor }
            }
        }
    };
}
pub(super) use items;
