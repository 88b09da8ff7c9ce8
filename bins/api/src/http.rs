//! HTTP for all routes: connections, the layer around each request, the reading of queries, paths and bodies, and
//! problem documents. Authentication is in `callers`.

pub(crate) mod body;
mod body_format;
pub(crate) mod draft;
pub(crate) mod error;
mod form;
mod held_body;
mod in_process;
pub(crate) mod openapi;
mod path;
pub(crate) mod paths;
mod query;
pub(crate) mod request;
mod serve;
pub(crate) mod work;

pub(crate) use self::draft::{Body, Draft, Valid, body};
pub(crate) use self::error::{ACCEPTED, Answer, Code, Created, DONE, Done, FieldError, Problem, created, found};
pub(crate) use self::form::line::{Line, Password};
pub(crate) use self::form::member::{Field, Member, Number, Object, accepted, text, word_members, words};
pub(crate) use self::form::{Form, Reading, object_fault, printable_name, read_string, text_fault, too_large};
pub use self::in_process::{Cause, CommandLine};
pub(crate) use self::path::InPath;
pub(crate) use self::query::Parameters;
pub(crate) use self::request::record_field;
pub(crate) use self::serve::Connections;
