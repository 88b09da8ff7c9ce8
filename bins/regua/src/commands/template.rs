//! `regua template`: imports message templates from JSON files.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::Subcommand;
use regua_domain::MessageTemplate;
use regua_store::templates::{self, Listed};
use regua_store::type_defaults::Default as TypeDefault;
use serde::de::IgnoredAny;
use serde_json::json;

use crate::client::{Client, TenantArguments};
use crate::files::template_file;
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Import a template, or replace the one of the same name; the first of its type becomes the type's default
    #[command(
        after_help = "Example:\n  regua template import --tenant acme examples/cobranca-padrao.json\n\nThe file:\n  {\"name\": \"cobranca-padrao\", \"type\": \"overdue\", \"variations\": [\"Olá {{primeiro_nome}}, …\"]}\nwith 1 to 5 variations, and optionally \"variables_schema\": a JSON Schema of the contacts' variables."
    )]
    Import {
        #[command(flatten)]
        target: TenantArguments,
        /// The template as JSON
        file: PathBuf,
        /// Make it the default of its type, in place of the present one
        #[arg(long)]
        default: bool,
    },
}

pub(crate) async fn run(Command::Import { target, file, default }: Command) -> anyhow::Result<ExitCode> {
    let path = file.display();
    let text = std::fs::read_to_string(&file).with_context(|| format!("{path} cannot be read"))?;
    let template = template_file::parse(&text).with_context(|| path.to_string())?;
    let is_default = put(&target.client().await?, &template, default).await?;
    let templates::Template { name, message_type, variations, .. } = &template;
    let variations = usize::from(variations.count());
    let shown = json!({"name": name, "type": message_type, "variations": variations, "default": is_default});
    let default = if is_default { format!(", the default for {message_type}") } else { String::new() };
    let variations = output::counted(variations, "variation");
    target.format.result(&shown, format_args!("template {name} imported: {message_type}, {variations}{default}"))
}

/// Adds a template or replaces the one of the same name; returns whether it is now the default of its type.
async fn put(client: &Client, template: &templates::Template, replaces_default: bool) -> anyhow::Result<bool> {
    let templates::Template { name, message_type, variations, variables_schema, .. } = template;
    let sources: Vec<_> = variations.iter().map(MessageTemplate::source).collect();
    let mut body = json!({"variations": sources, "variables_schema": variables_schema});
    let id = match client.find("/admin/templates", |one: &Listed| one.name == *name).await? {
        Some(one) => {
            let present = one.message_type;
            ensure!(
                present == *message_type,
                "there is already a template {name:?} of type {present}: give this one another name"
            );
            let _changed: IgnoredAny = client.put(&format!("/admin/templates/{}", one.template_id), &body).await?;
            one.template_id
        }
        None => {
            body["name"] = json!(name);
            body["type"] = json!(message_type);
            client.post::<Listed>("/admin/templates", &body).await?.template_id
        }
    };
    let default = client.default_of(*message_type).await?;
    if default.template == Some(id) {
        return Ok(true);
    }
    let is_default = replaces_default || default.template.is_none();
    if is_default {
        client.replace_default(&TypeDefault { template: Some(id), ..default }).await?;
    }
    Ok(is_default)
}
