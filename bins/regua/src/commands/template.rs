//! `regua template`: imports message templates from JSON files.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::{Args, Subcommand};
use regua_domain::MessageTemplate;
use regua_store::templates::Template;
use serde_json::json;

use crate::client::{AdminClient, TenantArguments};
use crate::exit_status::ExitStatus;
use crate::files::template_file;
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Import a template, or replace the one of the same name; the first of its type becomes the type's default
    #[command(
        after_help = "Example:\n  regua template import --tenant acme examples/cobranca-padrao.json\n\nThe file:\n  {\"name\": \"cobranca-padrao\", \"type\": \"overdue\", \"variations\": [\"Olá {{primeiro_nome}}, …\"]}\nwith 1 to 5 variations, and optionally \"variables_schema\": a JSON Schema of the contacts' variables."
    )]
    Import(Import),
}

#[derive(Args, Debug)]
pub(crate) struct Import {
    #[command(flatten)]
    target: TenantArguments,
    /// The template as JSON
    file: PathBuf,
    /// Make it the default of its type, in place of the present one
    #[arg(long)]
    default: bool,
}

pub(crate) async fn run(Command::Import(import): &Command) -> anyhow::Result<ExitStatus> {
    let file = import.file.display();
    let text = std::fs::read_to_string(&import.file).with_context(|| format!("{file} cannot be read"))?;
    let template = template_file::parse(&text).with_context(|| file.to_string())?;
    let (name, message_type) = (template.name.clone(), template.message_type);
    let variations = usize::from(template.variations.count());
    let admin = import.target.open().await?;
    let is_default = put(&admin, &template, import.default).await?;
    if import.target.format.json {
        let shown = json!({"name": name, "type": message_type, "variations": variations, "default": is_default});
        output::json(&shown)?;
    } else {
        let default = if is_default { format!(", the default for {message_type}") } else { String::new() };
        let variations = output::counted(variations, "variation");
        output::line(format_args!("template {name} imported: {message_type}, {variations}{default}"))?;
    }
    Ok(ExitStatus::Success)
}

/// Adds a template or replaces the one of the same name; returns whether it is now the default of its type.
async fn put(admin: &AdminClient, template: &Template, replaces_default: bool) -> anyhow::Result<bool> {
    let Template { name, message_type, variations, variables_schema, .. } = template;
    let variations: Vec<_> = variations.iter().map(MessageTemplate::source).collect();
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
