//! Reads a JSON object field by field, and collects all that is wrong with it instead of stopping at the first.

use std::fmt;
use std::ops::RangeInclusive;

use chrono::{DateTime, Utc};
use regua_domain::{Language, printable, refused_character};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::error::{Code, FieldError, Problem};

/// How deep an object of the caller's own may be nested.
const DEEPEST: usize = 16;
/// More members than any request has; the rest is not even kept.
const MOST_MEMBERS: usize = 64;

/// A JSON object that is being read. Whatever nobody asks for is refused at the end, so that a misspelt field is an error
/// and not an absent one.
pub(crate) struct Form<'a> {
    /// In which language to say what is wrong.
    pub(crate) language: Language,
    members: Vec<(String, &'a RawValue)>,
    known: Vec<&'static str>,
    errors: Vec<FieldError>,
}

impl<'a> Form<'a> {
    /// Splits a body into its members without looking into them.
    ///
    /// Answers `malformed_json` with the place, or `validation_failed` where it is no object.
    pub(crate) fn read(body: &'a [u8], language: Language) -> Result<Self, Problem> {
        // .NET likes to put a byte order mark in front.
        let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
        let Members(members) = serde_json::from_slice(body).map_err(|error| unreadable(&error, language))?;
        let mut form = Self { language, members: Vec::new(), known: Vec::new(), errors: Vec::new() };
        for (name, value) in members {
            if form.members.iter().any(|(other, _)| *other == name) {
                let message = language.pick("O campo aparece mais de uma vez.", "The field is there more than once.");
                form.refuse(&shown(&name), "duplicate_field", message);
            } else {
                form.members.push((name, value));
            }
        }
        Ok(form)
    }

    /// A member's JSON; `null` counts as absent.
    pub(crate) fn take(&mut self, name: &'static str) -> Option<&'a RawValue> {
        self.known.push(name);
        let place = self.members.iter().position(|(other, _)| other == name)?;
        let (_, value) = self.members.swap_remove(place);
        Some(value).filter(|value| value.get() != "null")
    }

    /// A text of 1 to `most` characters, none of them a control character, and not blank.
    pub(crate) fn text(&mut self, name: &'static str, most: usize) -> Option<String> {
        let raw = self.take(name)?;
        let Ok(text) = serde_json::from_str::<String>(raw.get()) else {
            self.wrong_type(name, "um texto", "a string");
            return None;
        };
        match text_fault(&text, most, self.language) {
            None => Some(text),
            Some((code, message)) => {
                self.refuse(name, code, &message);
                None
            }
        }
    }

    /// A text that must be there.
    pub(crate) fn required_text(&mut self, name: &'static str, most: usize) -> String {
        let before = self.errors.len();
        let text = self.text(name, most);
        if text.is_none() && self.errors.len() == before {
            self.required(name);
        }
        text.unwrap_or_default()
    }

    /// True or false; false where absent.
    pub(crate) fn flag(&mut self, name: &'static str) -> bool {
        let Some(raw) = self.take(name) else { return false };
        serde_json::from_str(raw.get()).unwrap_or_else(|_| {
            self.wrong_type(name, "true ou false", "true or false");
            false
        })
    }

    /// True or false, where it is given.
    pub(crate) fn choice(&mut self, name: &'static str) -> Option<bool> {
        let raw = self.take(name)?;
        let choice = serde_json::from_str(raw.get()).ok();
        if choice.is_none() {
            self.wrong_type(name, "true ou false", "true or false");
        }
        choice
    }

    /// A whole number within bounds, where it is given.
    pub(crate) fn number<N>(&mut self, name: &'static str, bounds: RangeInclusive<N>) -> Option<N>
    where
        N: TryFrom<i64> + PartialOrd + fmt::Display,
    {
        let raw = self.take(name)?;
        let number = serde_json::from_str::<i64>(raw.get()).ok().and_then(|number| N::try_from(number).ok());
        let number = number.filter(|number| bounds.contains(number));
        if number.is_none() {
            let (least, most) = bounds.into_inner();
            let message = self.language.pick(
                format!("Envie um número inteiro de {least} a {most}."),
                format!("Send a whole number from {least} to {most}."),
            );
            self.refuse(name, "invalid_number", &message);
        }
        number
    }

    /// A list of at most `most` texts, where it is given.
    pub(crate) fn list(&mut self, name: &'static str, most: usize) -> Option<Vec<String>> {
        let raw = self.take(name)?;
        let list = serde_json::from_str::<Vec<String>>(raw.get()).ok().filter(|list| list.len() <= most);
        if list.is_none() {
            self.wrong_type(
                name,
                &format!("uma lista de até {most} textos"),
                &format!("a list of at most {most} strings"),
            );
        }
        list
    }

    /// An instant with its offset from UTC.
    pub(crate) fn instant(&mut self, name: &'static str) -> Option<DateTime<Utc>> {
        let raw = self.take(name)?;
        let text = serde_json::from_str::<String>(raw.get()).ok();
        let instant = text.and_then(|text| DateTime::parse_from_rfc3339(&text).ok());
        if instant.is_none() {
            let message = self.language.pick(
                "Envie data, hora e fuso, por exemplo \"2026-11-23T09:00:00-03:00\".",
                "Send date, time and offset, for example \"2026-11-23T09:00:00-03:00\".",
            );
            self.refuse(name, "invalid_instant", message);
        }
        instant.map(|instant| instant.with_timezone(&Utc))
    }

    /// An object of the caller's own, of at most `most` bytes; empty where absent.
    pub(crate) fn object(&mut self, name: &'static str, most: usize) -> Value {
        let Some(raw) = self.take(name) else { return Value::Object(Map::new()) };
        match serde_json::from_str(raw.get()) {
            Ok(Value::Object(object)) => {
                let object = Value::Object(object);
                if let Some((code, message)) = object_fault(&object, raw.get().len(), most, self.language) {
                    self.refuse(name, code, &message);
                }
                object
            }
            _ => {
                self.wrong_type(name, "um objeto", "an object");
                Value::Null
            }
        }
    }

    /// Whether something was noted about a member.
    pub(crate) fn has_refused(&self, name: &str) -> bool {
        self.errors.iter().any(|error| error.field == name)
    }

    /// Notes that a member is missing.
    pub(crate) fn required(&mut self, name: &str) {
        let message = self.language.pick("O campo é obrigatório.", "The field is required.");
        self.refuse(name, "required", message);
    }

    /// Notes that a member is of another type.
    pub(crate) fn wrong_type(&mut self, name: &str, portuguese: &str, english: &str) {
        let message =
            self.language.pick(format!("O campo deve ser {portuguese}."), format!("The field must be {english}."));
        self.refuse(name, "wrong_type", &message);
    }

    /// Notes something that is wrong.
    pub(crate) fn refuse(&mut self, field: &str, code: &str, message: &str) {
        self.errors.push(FieldError { field: field.to_owned(), code: code.to_owned(), message: message.to_owned() });
    }

    /// Refuses what nobody asked for, and answers all that is wrong.
    pub(crate) fn finish(mut self) -> Result<(), Problem> {
        let known = self.known.join(", ");
        for (name, _) in std::mem::take(&mut self.members) {
            let message = self.language.pick(
                format!("O campo não existe. Campos aceitos: {known}."),
                format!("There is no such field. Fields that are taken: {known}."),
            );
            self.refuse(&shown(&name), "unknown_field", &message);
        }
        if self.errors.is_empty() { Ok(()) } else { Err(Problem::with_errors(Code::ValidationFailed, self.errors)) }
    }
}

/// What is wrong with a text of the caller's, where anything is.
pub(crate) fn text_fault(text: &str, most: usize, language: Language) -> Option<(&'static str, String)> {
    let length = text.chars().count();
    if text.trim().is_empty() {
        let message = language.pick("O campo está vazio.", "The field is empty.");
        return Some(("empty", message.to_owned()));
    }
    if length > most {
        let message = language.pick(
            format!("O campo tem {length} caracteres; o máximo é {most}."),
            format!("The field has {length} characters; at most {most} are taken."),
        );
        return Some(("too_long", message));
    }
    let (_, character) = refused_character(text, &[])?;
    let code = format!("U+{:04X}", u32::from(character));
    let message = language.pick(
        format!("O campo contém o caractere invisível {code}, que não é aceito. Apague-o e digite o trecho de novo."),
        format!(
            "The field holds the invisible character {code}, which is not taken. Delete it and type the passage again."
        ),
    );
    Some(("invalid_characters", message))
}

/// What is wrong with an object that is only kept and given back, where anything is. It may hold the line ends of any
/// system; what nobody can see is refused here too, because a console shows it and an export carries it.
pub(crate) fn object_fault(
    object: &Value,
    bytes: usize,
    most: usize,
    language: Language,
) -> Option<(&'static str, String)> {
    if bytes > most {
        let message = language.pick(
            format!("O objeto tem {bytes} bytes de JSON; o máximo é {most}."),
            format!("The object has {bytes} bytes of JSON; at most {most} are taken."),
        );
        return Some(("too_large", message));
    }
    if depth(object) > DEEPEST {
        let message = language.pick(
            format!("O objeto tem mais de {DEEPEST} níveis. Envie um mais simples."),
            format!("The object is nested more than {DEEPEST} deep. Send a simpler one."),
        );
        return Some(("too_deep", message));
    }
    let code = format!("U+{:04X}", u32::from(refused_in(object)?));
    let message = language.pick(
        format!("O objeto contém o caractere invisível {code}, que não é aceito. Remova-o."),
        format!("The object holds the invisible character {code}, which is not taken. Remove it."),
    );
    Some(("invalid_characters", message))
}

/// The reader of JSON bounds the recursion.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or_default(),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or_default(),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

fn refused_in(value: &Value) -> Option<char> {
    let refused = |text: &str| refused_character(text, &['\n', '\r', '\t']).map(|(_, character)| character);
    match value {
        Value::String(text) => refused(text),
        Value::Array(items) => items.iter().find_map(refused_in),
        Value::Object(members) => members.iter().find_map(|(name, value)| refused(name).or_else(|| refused_in(value))),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

/// A name as it may be repeated in an answer.
pub(crate) fn shown(name: &str) -> String {
    printable(name, 60)
}

fn unreadable(error: &serde_json::Error, language: Language) -> Problem {
    if error.classify() == Category::Data {
        let message = language.pick("O corpo deve ser um objeto JSON.", "The body must be a JSON object.");
        let error = FieldError { field: "body".to_owned(), code: "wrong_type".to_owned(), message: message.to_owned() };
        return Problem::with_errors(Code::ValidationFailed, vec![error]);
    }
    let (line, column) = (error.line(), error.column());
    let detail = language.pick(
        format!("O corpo não é um JSON válido: há um erro na linha {line}, coluna {column}."),
        format!("The body is not valid JSON: there is an error at line {line}, column {column}."),
    );
    Problem::with_detail(Code::MalformedJson, detail).with_member("line", line).with_member("column", column)
}

/// The members of a JSON object in their order, each as it was written.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some(name) = map.next_key()? {
            if members.len() < MOST_MEMBERS {
                members.push((name, map.next_value()?));
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Members(members))
    }
}
