//! Evolution's JSON schemas, as far as their error messages show them. Unknown fields are accepted.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::answer::Answer;

pub(crate) enum Rule {
    /// A string whose error is the schema's description.
    Number,
    Text,
    Delay,
    Flag,
    OneOf(&'static [&'static str]),
    Object,
    List,
}

pub(crate) struct Schema {
    pub(crate) fields: &'static [(&'static str, Rule)],
    pub(crate) required: &'static [&'static str],
}

pub(crate) const SEND_TEXT: Schema = Schema {
    fields: &[
        ("number", Rule::Number),
        ("text", Rule::Text),
        ("linkPreview", Rule::Flag),
        ("delay", Rule::Delay),
        ("mentionsEveryOne", Rule::Flag),
        ("mentioned", Rule::List),
    ],
    required: &["number", "text"],
};

pub(crate) const SEND_MEDIA: Schema = Schema {
    fields: &[
        ("number", Rule::Number),
        ("mediatype", Rule::OneOf(&["image", "document", "video", "audio"])),
        ("mimetype", Rule::Text),
        ("media", Rule::Text),
        ("fileName", Rule::Text),
        ("caption", Rule::Text),
        ("delay", Rule::Delay),
    ],
    required: &["number", "mediatype"],
};

pub(crate) const SEND_BUTTONS: Schema = Schema {
    fields: &[
        ("number", Rule::Number),
        ("thumbnailUrl", Rule::Text),
        ("title", Rule::Text),
        ("description", Rule::Text),
        ("footer", Rule::Text),
        ("buttons", Rule::List),
        ("delay", Rule::Delay),
    ],
    required: &["number"],
};

pub(crate) const CREATE: Schema = Schema {
    fields: &[("instanceName", Rule::Text), ("number", Rule::Text), ("token", Rule::Text), ("webhook", Rule::Object)],
    required: &["instanceName"],
};

pub(crate) const NUMBERS: Schema = Schema { fields: &[("numbers", Rule::List)], required: &["numbers"] };

pub(crate) const WEBHOOK: Schema = Schema { fields: &[("webhook", Rule::Object)], required: &["webhook"] };

impl Schema {
    /// The error is Evolution's 400: an array that holds one array of sentences.
    pub(crate) fn check(&self, body: &Value) -> Result<(), Answer> {
        let mut errors = Vec::new();
        if body.is_object() {
            errors.extend(self.fields.iter().filter_map(|(name, rule)| rule.error(name, &body[*name])));
            let missing = self.required.iter().filter(|name| body.get(**name).is_none());
            errors.extend(missing.map(|name| format!("instance requires property \"{name}\"")));
        } else {
            errors.push("instance is not of a type(s) object".to_owned());
        }
        if errors.is_empty() { Ok(()) } else { Err(Answer::error(StatusCode::BAD_REQUEST, json!([errors]))) }
    }
}

impl Rule {
    fn error(&self, name: &str, value: &Value) -> Option<String> {
        // Absent: indexing yields null. Evolution refuses an explicit null, which the fleet never sends.
        if value.is_null() {
            return None;
        }
        let wrong_type = |kind: &str| Some(format!("{name} is not of a type(s) {kind}"));
        match self {
            Self::Number if !value.is_string() => Some("Invalid format".to_owned()),
            Self::Delay if !value.is_i64() && !value.is_u64() => Some("Enter a value in milliseconds".to_owned()),
            Self::Text | Self::OneOf(_) if !value.is_string() => wrong_type("string"),
            Self::Flag if !value.is_boolean() => wrong_type("boolean"),
            Self::Object if !value.is_object() => wrong_type("object"),
            Self::List if !value.is_array() => wrong_type("array"),
            Self::OneOf(allowed) if !allowed.iter().any(|one| value == one) => {
                Some(format!("{name} is not one of enum values: {}", allowed.join(",")))
            }
            _ => None,
        }
    }
}
