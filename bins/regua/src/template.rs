//! `regua template`: imports message templates from JSON files.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use regua_boot::{Clock, DatabaseArguments};
use regua_domain::{Language, MessageType, TemplateId, TenantId, VariablesSchema, Variations};
use regua_store::templates::{self, Template};
use regua_store::type_defaults;
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::PgConnection;

use crate::arguments::{Ending, Form};
use crate::{database, output};

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
    database: DatabaseArguments,
    /// The tenant's slug
    #[arg(long, value_name = "SLUG")]
    tenant: String,
    /// The template as JSON
    file: PathBuf,
    /// Make it its type's default, whichever was before
    #[arg(long)]
    default: bool,
    #[command(flatten)]
    form: Form,
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
    let pool = database::open(&import.database)?;
    let mut transaction = pool.begin().await?;
    let tenant = database::tenant(&mut transaction, &import.tenant).await?;
    let is_default = put(&mut transaction, tenant, &template, import.default).await?;
    transaction.commit().await?;
    if import.form.json {
        let shown = json!({"name": name, "type": message_type, "variations": variations, "default": is_default});
        output::json(&shown)?;
    } else {
        let default = if is_default { format!(", the default for {message_type}") } else { String::new() };
        let variations = output::counted(variations, "variation");
        output::line(format_args!("template {name} imported: {message_type}, {variations}{default}"))?;
    }
    Ok(Ending::Done)
}

/// Stores a template, in the caller's transaction; whether it is its type's default now.
pub(crate) async fn put(
    conn: &mut PgConnection,
    tenant: TenantId,
    template: &Template,
    replaces_default: bool,
) -> anyhow::Result<bool> {
    let message_type = template.message_type;
    for other in MessageType::ALL.into_iter().filter(|other| *other != message_type) {
        if templates::for_type(conn, tenant, other, Some(&template.name)).await?.is_some() {
            bail!("there is already a template {:?} of type {other}: give this one another name", template.name);
        }
    }
    let id = templates::put(conn, tenant, template, Clock::system().now()).await?;
    type_defaults::set_template(conn, tenant, message_type, id, !replaces_default).await?;
    let default = templates::for_type(conn, tenant, message_type, None).await?;
    Ok(default.is_some_and(|default| default.template_id == id))
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
