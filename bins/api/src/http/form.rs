//! Reads a JSON object member by member, and collects all errors instead of stopping at the first.

mod faults;
pub(crate) mod member;
mod members;
mod string;

use regua_domain::{Language, Text};
use serde_json::error::Category;
use serde_json::value::RawValue;

use self::member::{Field, Member};
use self::members::Members;
use super::error::{Code, Problem};

pub(crate) use self::faults::{Faults, object_fault, printable_name, text_fault, too_large};
pub(crate) use self::string::{Reading, read_string};

/// A JSON object that is being read. Members that the handler does not read are errors: a misspelt name must not count
/// as an absent member.
pub(crate) struct Form<'a> {
    members: Vec<(String, &'a RawValue)>,
    known: Vec<&'static str>,
    faults: Faults,
}

impl<'a> Form<'a> {
    /// Splits a body into its members without parsing them. Answers `malformed_json` with the position, or
    /// `validation_failed` when the body is not an object.
    pub(super) fn read(body: &'a [u8], language: Language) -> Result<Self, Problem> {
        // Programs on .NET often send a byte order mark.
        let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
        let Members(members) = serde_json::from_slice(body).map_err(|error| unreadable(&error, language))?;
        let mut form = Self { members: Vec::new(), known: Vec::new(), faults: Faults::new(language) };
        for (name, value) in members {
            if form.members.iter().any(|(other, _)| *other == name) {
                form.faults.refuse(&printable_name(&name), "duplicate_field", &Text::of("field-duplicate"));
            } else {
                form.members.push((name, value));
            }
        }
        Ok(form)
    }

    /// A member by its type; none when it has an error, or is absent and required. `null` counts as absent.
    pub(crate) fn member<M: Member>(&mut self, name: &'static str) -> Option<M::Value> {
        self.known.push(name);
        let index = self.members.iter().position(|(other, _)| other == name);
        let json = index.map(|index| self.members.swap_remove(index).1.get()).filter(|json| *json != "null");
        if let Some(json) = json {
            return M::read(&mut Field { faults: &mut self.faults, name, json });
        }
        let absent = M::absent();
        if absent.is_none() {
            self.faults.refuse(name, "required", &Text::of("field-required"));
        }
        absent
    }

    /// The errors so far, and those of unread members.
    pub(super) fn into_faults(mut self) -> Faults {
        let text = Text::of("field-unknown").with("known", self.known.join(", "));
        self.faults.refuse_unknown(self.members.iter().map(|(name, _)| name), "unknown_field", &text);
        self.faults
    }
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
