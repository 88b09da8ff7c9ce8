//! Bodies of requests: `body!` declares the members of a body once. The declaration is its schema in the OpenAPI
//! document, its reader and its errors.

use std::ops::Deref;

use axum::extract::{FromRequest, Request};
use regua_domain::{Language, Text};
use utoipa::openapi::schema::AdditionalProperties;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema};

use super::body::read_small;
use super::error::Problem;
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
/// make a member optional. `@closed` before the struct documents that it has no
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
                $(#[doc = $about:literal])* $(#[example = $example:literal])?
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
                    let is_closed = $crate::http::body!(@closed $($closed)?);
                    let members = [$($crate::http::draft::Described {
                        name: $crate::http::draft::member_name(stringify!($field)),
                        is_required: {
                            type Read = $crate::http::body!(@type $type $(, $default)?);
                            <Read as $crate::http::Member>::absent().is_none()
                        },
                        schema: {
                            type Read = $crate::http::body!(@type $type $(, $default)?);
                            <Read as $crate::http::Member>::schema()
                        },
                        about: &[$($about),*],
                        example: <[&str]>::first(&[$($example)?]).copied(),
                    },)+];
                    $crate::http::draft::body_schema(&[$($doc),*], is_closed, members)
                }
            }

            impl utoipa::ToSchema for $name {}
        };
    };
}
pub(crate) use body;

/// A member in the OpenAPI document.
pub(crate) struct Described {
    pub(crate) name: &'static str,
    pub(crate) is_required: bool,
    pub(crate) schema: Schema,
    pub(crate) about: &'static [&'static str],
    pub(crate) example: Option<&'static str>,
}

/// The schema of a body. `about` are the lines of its doc comment.
pub(crate) fn body_schema(
    about: &[&str],
    is_closed: bool,
    members: impl IntoIterator<Item = Described>,
) -> RefOr<Schema> {
    let mut body = ObjectBuilder::new().description(description(about));
    for member in members {
        body = if member.is_required { body.required(member.name) } else { body };
        body = body.property(member.name, described(member));
    }
    (if is_closed { body.additional_properties(Some(AdditionalProperties::FreeForm(false))) } else { body }).into()
}

fn described(member: Described) -> Schema {
    let (about, example) = (description(member.about), member.example.map(Into::into));
    let mut schema = member.schema;
    match &mut schema {
        Schema::Object(object) => (object.description, object.example) = (about, example),
        Schema::Array(array) => (array.description, array.example) = (about, example),
        _ => {}
    }
    schema
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
