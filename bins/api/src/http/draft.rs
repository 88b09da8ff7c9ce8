//! Bodies of requests: `body!` declares the members of a body once. The declaration is its schema in the OpenAPI
//! document, its reader and its errors.

use std::ops::Deref;

use axum::extract::{FromRequest, Request};
use regua_domain::{Language, Text};
use utoipa::openapi::schema::AdditionalProperties;
use utoipa::openapi::{ObjectBuilder, Schema};

use super::body::read_small;
use super::error::Problem;
use super::form::member::Member;
use super::form::{Faults, Form};
use super::request::language;
use crate::context::Context;

/// The body of a request. `body!` implements it.
pub(crate) trait Body: Sized {
    /// The members as far as they were read: none for a member with an error.
    type Members;

    fn read(form: &mut Form<'_>) -> Self::Members;

    /// None when a member has an error.
    fn complete(members: Self::Members) -> Option<Self>;
}

/// A body that was read. A handler may add errors that need more than one member, before `finish` answers all errors.
pub(crate) struct Draft<T: Body> {
    members: T::Members,
    faults: Faults,
}

impl<T: Body> Draft<T> {
    /// Reads a body. The problem says that it is not a JSON object.
    pub(crate) fn parse(body: &[u8], language: Language) -> Result<Self, Problem> {
        let mut form = Form::read(body, language)?;
        let members = T::read(&mut form);
        Ok(Self { members, faults: form.into_faults() })
    }

    /// Adds an error.
    pub(crate) fn refuse(&mut self, field: &str, code: &str, text: &Text) {
        self.faults.refuse(field, code, text);
    }

    /// The body, or the problem with all errors.
    pub(crate) fn finish(self) -> Result<T, Problem> {
        self.faults.answer()?;
        T::complete(self.members)
            .ok_or_else(|| Problem::internal(anyhow::anyhow!("a member has no error and no value")))
    }
}

impl<T: Body> Deref for Draft<T> {
    type Target = T::Members;

    fn deref(&self) -> &T::Members {
        &self.members
    }
}

/// As a handler's last argument the body is read after the principal is authenticated.
impl<T: Body> FromRequest<Context> for Draft<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, context: &Context) -> Result<Self, Problem> {
        let language = language(request.headers());
        Self::parse(&read_small(request, context).await?, language)
    }
}

/// A body without errors.
pub(crate) struct Valid<T>(pub(crate) T);

impl<T: Body> FromRequest<Context> for Valid<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, context: &Context) -> Result<Self, Problem> {
        Draft::<T>::from_request(request, context).await?.finish().map(Self)
    }
}

/// Declares the body of a request:
///
/// ```text
/// body! {
///     /// The description of the schema.
///     struct KeyRequest {
///         /// The description of the member.
///         name: Line<1, 200>,
///         #[example = "a value"]
///         base_url: Option<Line<0, 500>>,
///         active: bool = true,
///     }
/// }
/// ```
///
/// The type of a member is a [`Member`](super::Member); the field of the struct has its value. `Option` and `= default`
/// make a member optional. `#[default = true]` documents a default. `@closed` before the struct documents that it has no
/// other members.
macro_rules! body {
    (@type $type:ty) => { $type };
    (@type $type:ty, $default:expr) => { Option<$type> };
    (@value $value:expr) => { $value };
    (@value $value:expr, $default:expr) => { $value.map(|value| value.unwrap_or_else(|| $default)) };
    (@closed) => { false };
    (@closed closed) => { true };
    (
        $(#[doc = $doc:literal])*
        $(@$closed:ident)? $vis:vis struct $name:ident {
            $(
                $(#[doc = $about:literal])* $(#[example = $example:literal])? $(#[default = $shown:literal])?
                $field:ident: $type:ty $(= $default:expr)?,
            )+
        }
    ) => {
        $(#[doc = $doc])*
        $vis struct $name {
            $($vis $field: <$type as $crate::http::Member>::Value,)+
        }

        const _: () = {
            pub(crate) struct Members {
                $(pub(crate) $field: Option<<$type as $crate::http::Member>::Value>,)+
            }

            impl $crate::http::Body for $name {
                type Members = Members;

                fn read(form: &mut $crate::http::Form<'_>) -> Members {
                    Members {
                        $($field: {
                            type Read = $crate::http::body!(@type $type $(, $default)?);
                            let read = form.member::<Read>($crate::http::draft::member_name(stringify!($field)));
                            $crate::http::body!(@value read $(, $default)?)
                        },)+
                    }
                }

                fn complete(members: Members) -> Option<Self> {
                    let body = Self { $($field: members.$field?,)+ };
                    // A member that only a check of the draft needs counts as read.
                    let _ = ($(&body.$field,)+);
                    Some(body)
                }
            }

            impl utoipa::PartialSchema for $name {
                fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                    let body = $crate::http::draft::body_schema(&[$($doc),*], $crate::http::body!(@closed $($closed)?));
                    $(let body = {
                        type Read = $crate::http::body!(@type $type $(, $default)?);
                        let name = $crate::http::draft::member_name(stringify!($field));
                        let example = <[&str]>::first(&[$($example)?]).copied();
                        let default = <[bool]>::first(&[$($shown)?]).copied();
                        $crate::http::draft::add_member::<Read>(body, name, &[$($about),*], example, default)
                    };)+
                    body.into()
                }
            }

            impl utoipa::ToSchema for $name {
                fn schemas(schemas: &mut Vec<(String, utoipa::openapi::RefOr<utoipa::openapi::Schema>)>) {
                    $(<$type as $crate::http::Member>::schemas(schemas);)+
                }
            }
        };
    };
}
pub(crate) use body;

/// The schema of a body without its members. `about` are the lines of its doc comment.
pub(crate) fn body_schema(about: &[&str], is_closed: bool) -> ObjectBuilder {
    let closed = is_closed.then_some(AdditionalProperties::FreeForm(false));
    ObjectBuilder::new().description(description(about)).additional_properties(closed)
}

/// Adds a member to the schema of a body.
pub(crate) fn add_member<M: Member>(
    body: ObjectBuilder,
    name: &'static str,
    about: &[&str],
    example: Option<&str>,
    default: Option<bool>,
) -> ObjectBuilder {
    let (about, example, default) = (description(about), example.map(Into::into), default.map(Into::into));
    let mut schema = M::schema();
    match &mut schema {
        Schema::Object(object) => {
            (object.description, object.example, object.default) = (about, example, default);
        }
        Schema::Array(array) => (array.description, array.example) = (about, example),
        _ => {}
    }
    (if M::absent().is_none() { body.required(name) } else { body }).property(name, schema)
}

fn description(about: &[&str]) -> Option<String> {
    let lines: Vec<_> = about.iter().map(|line| line.trim()).collect();
    Some(lines.join("\n")).filter(|text| !text.is_empty())
}

/// A member's name in JSON, by its name in Rust.
pub(crate) fn member_name(field: &'static str) -> &'static str {
    field.trim_start_matches("r#")
}

#[cfg(test)]
mod tests;
