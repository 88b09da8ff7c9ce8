//! `regua template`: imports message templates from JSON files.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::{Args, Subcommand};
use regua_boot::Clock;
use regua_domain::{Language, MessageType, TemplateId, VariablesSchema, Variations};
use regua_store::templates::Template;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::admin::{Admin, Of};
use crate::arguments::Ending;
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Import a template, or replace the one of the same name; the first of its type becomes the type's default
    #[command(
        after_help = "Example:\n  regua template import --tenant acme examples/cobranca-padrao.json\n\nThe file:\n  {\"name\": \"cobranca-padrao\", \"type\": \"overdue\", \"variations\": [\"Olá {{primeiro_nome}}, …\"]}\nwith 1 to 5 variations, and a JSON Schema of the contacts' variables as \"variables_schema\" if wanted."
    )]
    Import(Import),
}

#[derive(Args, Debug)]
pub(crate) struct Import {
    #[command(flatten)]
    of: Of,
    /// The template as JSON
    file: PathBuf,
    /// Make it its type's default, whichever was before
    #[arg(long)]
    default: bool,
}

/// A template as it stands in a file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TemplateFile {
    name: String,
    r#type: MessageType,
    variations: Vec<String>,
    #[serde(default)]
    variables_schema: Option<Value>,
}

/// Runs the command.
pub(crate) async fn run(Command::Import(import): &Command) -> anyhow::Result<Ending> {
    let file = import.file.display();
    let text = std::fs::read_to_string(&import.file).with_context(|| format!("{file} cannot be read"))?;
    let template = parse(&text).with_context(|| file.to_string())?;
    let (name, message_type) = (template.name.clone(), template.message_type);
    let variations = template.variations.len();
    let admin = import.of.open().await?;
    let is_default = put(&admin, &template, import.default).await?;
    if import.of.form.json {
        let shown = json!({"name": name, "type": message_type, "variations": variations, "default": is_default});
        output::json(&shown)?;
    } else {
        let default = if is_default { format!(", the default for {message_type}") } else { String::new() };
        let variations = output::counted(variations, "variation");
        output::line(format_args!("template {name} imported: {message_type}, {variations}{default}"))?;
    }
    Ok(Ending::Done)
}

/// Adds a template or replaces the one of its name; whether it is its type's default now.
async fn put(admin: &Admin, template: &Template, replaces_default: bool) -> anyhow::Result<bool> {
    let Template { name, message_type, variations, variables_schema, .. } = template;
    let all = admin.items("/templates").await?;
    let id = match all.iter().find(|one| one["name"] == **name) {
        Some(one) => {
            let (id, other) = (output::cell(&one["template_id"]), output::cell(&one["type"]));
            ensure!(
                other == message_type.as_str(),
                "there is already a template {name:?} of type {other}: give this one another name"
            );
            let body = json!({"variations": variations, "variables_schema": variables_schema});
            admin.put(&format!("/templates/{id}"), &body).await?;
            id
        }
        None => {
            let body = json!({
                "name": name, "type": message_type, "variations": variations, "variables_schema": variables_schema,
            });
            output::cell(&admin.post("/templates", &body).await?["template_id"])
        }
    };
    let defaults = admin.items("/defaults").await?;
    let default = defaults.into_iter().find(|default| default["type"] == message_type.as_str()).unwrap_or_default();
    if default["template_id"] == *id {
        return Ok(true);
    }
    let is_default = replaces_default || default["template_id"].is_null();
    if is_default {
        let body = json!({"template_id": id, "instance_id": default["instance_id"]});
        admin.put(&format!("/defaults/{message_type}"), &body).await?;
    }
    Ok(is_default)
}

/// Reads and checks a file's text.
pub(crate) fn parse(text: &str) -> anyhow::Result<Template> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let file: TemplateFile = serde_json::from_str(text).context("is no template")?;
    let name = crate::tenant::name(&file.name).ok().filter(|name| name.chars().count() <= 100);
    let name = name.context("\"name\" must have 1 to 100 characters")?;
    Variations::parse(file.variations.clone()).map_err(|error| anyhow::anyhow!(error.explain(Language::English)))?;
    if let Some(schema) = &file.variables_schema {
        VariablesSchema::parse(schema)
            .map_err(|error| anyhow::anyhow!("\"variables_schema\": {}", error.explain(Language::English)))?;
    }
    Ok(Template {
        template_id: TemplateId::new(Clock::system().now()),
        name,
        message_type: file.r#type,
        variables_schema: file.variables_schema,
        variations: file.variations,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        format!("{:#}", parse(text).unwrap_err())
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let wording = error(r#"{"name":"a","type":"overdue","variations":["Olá","Olá\n {{#if x}}"]}"#);
        assert!(
            wording.contains("ariation 2") && wording.contains("Line 2") && wording.contains("column 2"),
            "{wording}"
        );
        let json = error("{\"name\":\"a\",\n\"type\":\"overdu\"}");
        assert!(json.contains("line 2") && json.contains("unknown variant"), "{json}");
        let schema = error(r#"{"name":"a","type":"overdue","variations":["Olá"],"variables_schema":[]}"#);
        assert!(schema.contains("variables_schema"), "{schema}");
    }

    #[test]
    fn a_template_may_begin_with_a_byte_order_mark() {
        assert!(parse("\u{feff}{\"name\":\"a\",\"type\":\"overdue\",\"variations\":[\"Olá\"]}").is_ok());
    }
}
