//! Message templates as JSON files.

use anyhow::Context;
use regua_api::render_text;
use regua_boot::Clock;
use regua_domain::{Language, MessageType, TemplateId, VariablesSchema, Variations};
use regua_store::templates::Template;
use serde::Deserialize;
use serde_json::Value;

use crate::display_name;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TemplateFile {
    name: String,
    r#type: MessageType,
    variations: Vec<String>,
    #[serde(default)]
    variables_schema: Option<Value>,
}

/// Parses and checks the text of a file. The template has a new id.
pub(crate) fn parse(text: &str) -> anyhow::Result<Template> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let file: TemplateFile = serde_json::from_str(text).context("is no template")?;
    let name = display_name::parse(&file.name).ok().filter(|name| name.chars().count() <= 100);
    let name = name.context("\"name\" must have 1 to 100 characters")?;
    let variations = Variations::parse(file.variations);
    let variations = variations.map_err(|error| anyhow::anyhow!(render_text(&error.text(), Language::English)))?;
    if let Some(schema) = &file.variables_schema {
        VariablesSchema::parse(schema).map_err(|error| {
            anyhow::anyhow!("\"variables_schema\": {}", render_text(&error.text(), Language::English))
        })?;
    }
    Ok(Template {
        template_id: TemplateId::new(Clock::system().now()),
        name,
        message_type: file.r#type,
        variables_schema: file.variables_schema,
        variations,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        format!("{:#}", parse(text).unwrap_err())
    }

    #[test]
    fn error_names_the_place_in_the_file() {
        let wording = error(r#"{"name":"a","type":"overdue","variations":["Olá","Olá\n {{#if x}}"]}"#);
        assert!(
            wording.contains("ariation 2") && wording.contains("Line 2") && wording.contains("column 2"),
            "{wording}"
        );
        let json = error("{\"name\":\"a\",\n\"type\":\"overdu\"}");
        assert!(json.contains("line 2") && json.contains("unknown message type \"overdu\""), "{json}");
        let schema = error(r#"{"name":"a","type":"overdue","variations":["Olá"],"variables_schema":[]}"#);
        assert!(schema.contains("variables_schema"), "{schema}");
    }

    #[test]
    fn byte_order_mark_is_ignored() {
        assert!(parse("\u{feff}{\"name\":\"a\",\"type\":\"overdue\",\"variations\":[\"Olá\"]}").is_ok());
    }
}
