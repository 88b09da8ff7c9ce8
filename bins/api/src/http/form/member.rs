//! The members of a body by their types: a type has its schema, its limits and its errors.

use std::marker::PhantomData;

use chrono::{DateTime, Utc};
use regua_domain::{MessageType, TenantStatus, Text, trim_blanks};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use utoipa::openapi::schema::{self, SchemaFormat, SchemaType};
use utoipa::openapi::{KnownFormat, ObjectBuilder, RefOr, Schema, Type};
use uuid::Uuid;

use super::{Faults, object_fault, read_string, text_fault, too_large};

/// A type of members. It may be a marker for another type, such as [`Line`](super::line::Line) for texts with a limit.
pub(crate) trait Member {
    /// The value of a valid member.
    type Value;

    fn schema() -> Schema;

    /// The schema of a member that may be absent.
    fn optional_schema() -> Schema {
        nullable(Self::schema())
    }

    /// Reads a member that is present and not null. None: the error is added to the form.
    fn read(field: &mut Field<'_, '_>) -> Option<Self::Value>;

    /// The named schemas to which the schema refers.
    fn schemas(_schemas: &mut Vec<(String, RefOr<Schema>)>) {}

    /// The value of an absent member; none: the member is required.
    fn absent() -> Option<Self::Value> {
        None
    }
}

impl<M: Member> Member for Option<M> {
    type Value = Option<M::Value>;

    fn schema() -> Schema {
        M::optional_schema()
    }

    fn read(field: &mut Field<'_, '_>) -> Option<Self::Value> {
        M::read(field).map(Some)
    }

    fn absent() -> Option<Self::Value> {
        Some(None)
    }
}

/// A present member that is being read.
pub(crate) struct Field<'f, 'a> {
    pub(super) faults: &'f mut Faults,
    pub(crate) name: &'static str,
    /// The member as JSON.
    pub(crate) json: &'a str,
}

impl<'a> Field<'_, 'a> {
    /// The member as a JSON value of a type; `expected` names the type for people. The caller has judged the member's
    /// size, because the value and the error may take several times its memory.
    pub(crate) fn parse<T: Deserialize<'a>>(&mut self, expected: Text) -> Option<T> {
        serde_json::from_str(self.json).ok().or_else(|| self.wrong_type(expected))
    }

    /// A text of 1 to `most` characters, without control characters. Blanks at its ends do not count.
    pub(crate) fn text(&mut self, most: usize) -> Option<String> {
        self.text_without(trim_blanks, most)
    }

    /// As [`Self::text`], of the part of the text that `trim` leaves.
    pub(super) fn text_without(&mut self, trim: fn(&str) -> &str, most: usize) -> Option<String> {
        let check = |text: &str| text_fault(text, most).map_or_else(|| Ok(text.to_owned()), Err);
        let read = read_string(self.json, |text| check(trim(text)));
        match read {
            Some(Ok(text)) => Some(text),
            Some(Err((code, fault))) => self.refuse(code, &fault),
            None => self.wrong_type(Text::of("type-string")),
        }
    }

    /// A list of at most `most` texts.
    pub(crate) fn texts(&mut self, most: usize) -> Option<Vec<String>> {
        self.list(most, Text::of("type-string-list").with("most", most))
    }

    /// A list of at most `most` values; `expected` names the type for people.
    pub(crate) fn list<T: Deserialize<'a>>(&mut self, most: usize, expected: Text) -> Option<Vec<T>> {
        let list = serde_json::from_str::<Vec<T>>(self.json).ok().filter(|list| list.len() <= most);
        list.or_else(|| self.wrong_type(expected))
    }

    /// A text of at most `most` characters that `parse` accepts.
    pub(crate) fn parsed<T>(
        &mut self,
        most: usize,
        parse: impl Fn(&str) -> Option<T>,
        code: &str,
        text: &Text,
    ) -> Option<T> {
        parse(&self.text(most)?).or_else(|| self.refuse(code, text))
    }

    /// A text that is one of these words.
    pub(crate) fn word<T: Copy>(&mut self, options: &[T], name: impl Fn(T) -> &'static str) -> Option<T> {
        let text = self.text(20)?;
        let chosen = options.iter().copied().find(|&option| name(option) == text);
        chosen.or_else(|| self.refuse("invalid_value", &accepted(options, name)))
    }

    /// Adds an error of the member.
    pub(crate) fn refuse<T>(&mut self, code: &str, text: &Text) -> Option<T> {
        self.faults.refuse(self.name, code, text);
        None
    }

    /// Adds the error of a member of another type; `expected` completes the sentence "The field must be …".
    pub(crate) fn wrong_type<T>(&mut self, expected: Text) -> Option<T> {
        self.refuse("wrong_type", &Text::of("field-wrong-type").with_text("type", expected))
    }

    /// Adds an error of one item of the list.
    pub(crate) fn refuse_item(&mut self, index: usize, code: &str, text: &Text) {
        self.faults.refuse(&format!("{}[{index}]", self.name), code, text);
    }
}

/// The sentence that lists the accepted values.
pub(crate) fn accepted<T: Copy>(options: &[T], name: impl Fn(T) -> &'static str) -> Text {
    let values = options.iter().map(|&option| name(option)).collect::<Vec<_>>().join(", ");
    Text::of("accepted-values").with("values", values)
}

/// A whole number within bounds.
pub(crate) struct Number<const LEAST: i64, const MOST: i64, N = i32>(PhantomData<N>);

impl<const LEAST: i64, const MOST: i64, N: TryFrom<i64>> Member for Number<LEAST, MOST, N> {
    type Value = N;

    fn schema() -> Schema {
        let format = if size_of::<N>() > 4 { KnownFormat::Int64 } else { KnownFormat::Int32 };
        let builder = ObjectBuilder::new().schema_type(Type::Integer).format(Some(SchemaFormat::KnownFormat(format)));
        builder.minimum(Some(LEAST)).maximum(Some(MOST)).into()
    }

    fn read(field: &mut Field<'_, '_>) -> Option<N> {
        let number = serde_json::from_str::<i64>(field.json).ok().filter(|number| (LEAST..=MOST).contains(number));
        let text = Text::of("field-number").with("least", LEAST).with("most", MOST);
        number.and_then(|number| N::try_from(number).ok()).or_else(|| field.refuse("invalid_number", &text))
    }
}

/// A free-form object of at most `MOST` bytes of JSON. It stays JSON text: a value may take a hundred times the memory.
pub(crate) struct Object<const MOST: usize>;

impl<const MOST: usize> Member for Object<MOST> {
    type Value = Box<RawValue>;

    fn schema() -> Schema {
        ObjectBuilder::new().schema_type(Type::Object).into()
    }

    fn read(field: &mut Field<'_, '_>) -> Option<Box<RawValue>> {
        let bytes = field.json.len();
        if !field.json.starts_with('{') {
            return field.wrong_type(Text::of("type-object"));
        }
        if bytes > MOST {
            let (code, fault) = too_large(bytes, MOST);
            return field.refuse(code, &fault);
        }
        let object = Value::Object(field.parse(Text::of("type-object"))?);
        match object_fault(&object, bytes, MOST) {
            None => to_raw_value(&object).ok(),
            Some((code, fault)) => field.refuse(code, &fault),
        }
    }
}

impl Member for bool {
    type Value = Self;

    fn schema() -> Schema {
        ObjectBuilder::new().schema_type(Type::Boolean).into()
    }

    fn read(field: &mut Field<'_, '_>) -> Option<Self> {
        match field.json {
            "true" => Some(true),
            "false" => Some(false),
            _ => field.wrong_type(Text::of("type-boolean")),
        }
    }
}

/// An instant of RFC 3339.
impl Member for DateTime<Utc> {
    type Value = Self;

    fn schema() -> Schema {
        text().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime))).into()
    }

    fn read(field: &mut Field<'_, '_>) -> Option<Self> {
        match read_string(field.json, |text| DateTime::parse_from_rfc3339(text).ok()).flatten() {
            Some(instant) => Some(instant.with_timezone(&Utc)),
            None => field.refuse("invalid_instant", &Text::of("field-instant")),
        }
    }
}

impl Member for Uuid {
    type Value = Self;

    fn schema() -> Schema {
        text().format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid))).into()
    }

    fn read(field: &mut Field<'_, '_>) -> Option<Self> {
        field.text(40)?.parse().ok().or_else(|| field.wrong_type(Text::of("type-id")))
    }
}

/// Enums of words: the schema lists them. The document shows an absent word like a present one.
macro_rules! word_members {
    ($($name:ty = $options:expr;)+) => {$(
        impl $crate::http::Member for $name {
            type Value = Self;

            fn schema() -> utoipa::openapi::Schema {
                $crate::http::words($options.map(<$name>::as_str))
            }

            fn optional_schema() -> utoipa::openapi::Schema {
                Self::schema()
            }

            fn read(field: &mut $crate::http::Field<'_, '_>) -> Option<Self> {
                field.word(&$options, <$name>::as_str)
            }
        }
    )+};
}
pub(crate) use word_members;

word_members! {
    MessageType = MessageType::ALL;
    TenantStatus = TenantStatus::ALL;
}

/// The schema of a text that is one of these words.
pub(crate) fn words(words: impl IntoIterator<Item = &'static str>) -> Schema {
    text().enum_values(Some(words)).into()
}

/// The schema of a text.
pub(crate) fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

/// The schema that also allows null.
fn nullable(mut schema: Schema) -> Schema {
    let types = match &mut schema {
        Schema::Object(schema::Object { schema_type, .. }) => schema_type,
        Schema::Array(array) => &mut array.schema_type,
        _ => return schema,
    };
    if let SchemaType::Type(only) = types {
        *types = SchemaType::from_iter([only.clone(), Type::Null]);
    }
    schema
}
