//! Reads a JSON object member by member, and collects all errors instead of stopping at the first.

mod faults;
pub(crate) mod line;
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
        let Members(members) = serde_json::from_slice(body).map_err(|error| unreadable(body, &error, language))?;
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

fn unreadable(body: &[u8], error: &serde_json::Error, language: Language) -> Problem {
    if let Err(error) = std::str::from_utf8(body) {
        return not_utf8(body, error.valid_up_to());
    }
    if error.classify() == Category::Data {
        return Problem::field("body", "wrong_type", &Text::of("body-not-an-object"), language);
    }
    malformed(Text::of("body-malformed"), error.line(), error.column())
}

/// The problem of a body in another charset, with the place of its first byte that is not UTF-8.
fn not_utf8(body: &[u8], at: usize) -> Problem {
    let before = body.get(..at).unwrap_or_default();
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = at - before.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1) + 1;
    let byte = format!("0x{:02X}", body.get(at).copied().unwrap_or_default());
    malformed(Text::of("body-not-utf8").with("byte", byte), line, column)
}

fn malformed(text: Text, line: usize, column: usize) -> Problem {
    Problem::with_detail(Code::MalformedJson, text.with("line", line).with("column", column))
        .with_member("line", line)
        .with_member("column", column)
}
