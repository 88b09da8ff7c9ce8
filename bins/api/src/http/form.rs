//! Reads a JSON object member by member, and collects all errors instead of stopping at the first.

mod faults;
pub(crate) mod member;
mod members;

use chrono::{DateTime, Utc};
use regua_domain::{Language, Text, printable};
use serde_json::error::Category;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use self::member::{Field, Member};
use self::members::Members;
use super::error::{Code, FieldError, Problem};

pub(crate) use self::faults::{object_fault, text_fault};

/// A JSON object that is being read. Members that the handler does not read are errors: a misspelt name must not count
/// as an absent member.
pub(crate) struct Form<'a> {
    pub(crate) language: Language,
    members: Vec<(String, &'a RawValue)>,
    known: Vec<&'static str>,
    errors: Vec<FieldError>,
}

impl<'a> Form<'a> {
    /// Splits a body into its members without parsing them. Answers `malformed_json` with the position, or
    /// `validation_failed` when the body is not an object.
    pub(crate) fn read(body: &'a [u8], language: Language) -> Result<Self, Problem> {
        // Programs on .NET often send a byte order mark.
        let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
        let Members(members) = serde_json::from_slice(body).map_err(|error| unreadable(&error, language))?;
        let mut form = Self { language, members: Vec::new(), known: Vec::new(), errors: Vec::new() };
        for (name, value) in members {
            if form.members.iter().any(|(other, _)| *other == name) {
                form.refuse(&printable_name(&name), "duplicate_field", &Text::of("field-duplicate"));
            } else {
                form.members.push((name, value));
            }
        }
        Ok(form)
    }

    /// A member's JSON; `null` counts as absent.
    pub(crate) fn take(&mut self, name: &'static str) -> Option<&'a RawValue> {
        self.known.push(name);
        let index = self.members.iter().position(|(other, _)| other == name)?;
        let (_, value) = self.members.swap_remove(index);
        Some(value).filter(|value| value.get() != "null")
    }

    /// A member by its type; none when it has an error, or is absent and required.
    pub(crate) fn member<M: Member>(&mut self, name: &'static str) -> Option<M::Value> {
        if let Some(json) = self.take(name) {
            return M::read(&mut Field { form: self, name, json: json.get() });
        }
        let absent = M::absent();
        if absent.is_none() {
            self.required(name);
        }
        absent
    }

    /// A text of 1 to `most` characters, not blank and without control characters.
    pub(crate) fn text(&mut self, name: &'static str, most: usize) -> Option<String> {
        let json = self.take(name)?;
        Field { form: self, name, json: json.get() }.text(most)
    }

    /// As [`Self::text`]; an absent text is an error.
    pub(crate) fn required_text(&mut self, name: &'static str, most: usize) -> String {
        let before = self.errors.len();
        let text = self.text(name, most);
        if text.is_none() && self.errors.len() == before {
            self.required(name);
        }
        text.unwrap_or_default()
    }

    pub(crate) fn boolean(&mut self, name: &'static str) -> Option<bool> {
        self.member::<Option<bool>>(name).flatten()
    }

    /// An instant of RFC 3339.
    pub(crate) fn instant(&mut self, name: &'static str) -> Option<DateTime<Utc>> {
        self.member::<Option<DateTime<Utc>>>(name).flatten()
    }

    /// A free-form object of at most `most` bytes of JSON; empty when absent.
    pub(crate) fn object(&mut self, name: &'static str, most: usize) -> Value {
        let Some(raw) = self.take(name) else { return Value::Object(Map::new()) };
        match serde_json::from_str(raw.get()) {
            Ok(Value::Object(object)) => {
                let object = Value::Object(object);
                if let Some((code, fault)) = object_fault(&object, raw.get().len(), most) {
                    self.refuse(name, code, &fault);
                }
                object
            }
            _ => {
                self.wrong_type(name, Text::of("type-object"));
                Value::Null
            }
        }
    }

    /// Adds the error of an absent member.
    pub(crate) fn required(&mut self, name: &str) {
        self.refuse(name, "required", &Text::of("field-required"));
    }

    /// Adds the error of a member of another type; `expected` completes the sentence "The field must be …".
    pub(crate) fn wrong_type(&mut self, name: &str, expected: Text) {
        self.refuse(name, "wrong_type", &Text::of("field-wrong-type").with_text("type", expected));
    }

    /// Adds an error.
    pub(crate) fn refuse(&mut self, field: &str, code: &str, text: &Text) {
        self.errors.push(FieldError::new(field, code, text, self.language));
    }

    /// Adds the errors of unread members, and answers all errors.
    pub(crate) fn finish(self) -> Result<(), Problem> {
        self.into_faults().answer()
    }

    /// The errors so far, and those of unread members.
    pub(super) fn into_faults(self) -> Faults {
        let Self { language, members, known, errors } = self;
        let text = Text::of("field-unknown").with("known", known.join(", "));
        let unknown =
            |(name, _): (String, _)| FieldError::new(&printable_name(&name), "unknown_field", &text, language);
        Faults { language, errors, unknown: members.into_iter().map(unknown).collect() }
    }
}

/// The errors of a body that was read.
pub(super) struct Faults {
    language: Language,
    errors: Vec<FieldError>,
    unknown: Vec<FieldError>,
}

impl Faults {
    pub(super) fn refuse(&mut self, field: &str, code: &str, text: &Text) {
        self.errors.push(FieldError::new(field, code, text, self.language));
    }

    /// The problem with all errors; those of unknown members are the last.
    pub(super) fn answer(mut self) -> Result<(), Problem> {
        self.errors.append(&mut self.unknown);
        if self.errors.is_empty() { Ok(()) } else { Err(Problem::with_errors(Code::ValidationFailed, self.errors)) }
    }
}

/// A name of the caller's, as an answer may repeat it.
pub(crate) fn printable_name(name: &str) -> String {
    printable(name, 60)
}

fn unreadable(error: &serde_json::Error, language: Language) -> Problem {
    if error.classify() == Category::Data {
        return Problem::field("body", "wrong_type", &Text::of("body-not-an-object"), language);
    }
    let (line, column) = (error.line(), error.column());
    Problem::with_detail(Code::MalformedJson, Text::of("body-malformed").with("line", line).with("column", column))
        .with_member("line", line)
        .with_member("column", column)
}
