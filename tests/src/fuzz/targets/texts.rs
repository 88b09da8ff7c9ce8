//! Texts of tenants and ERPs: templates, variables and schemas of variables.

use regua_domain::{
    ContactDetails, ContactName, MessageTemplate, Money, OwnVariables, PhoneNumber, Reference, RenderError,
    VARIABLE_NAMES, Variables, VariablesSchema,
};
use serde_json::Value;

use super::{check_text, differs_by_language, ensure, is_clean, parts};

pub(super) const TEMPLATE_WORDS: &[&str] = &[
    "{{nome}}",
    "{{x}}",
    "{{#if x}}",
    "{{else}}",
    "{{/if}}",
    "{{#unless y}}",
    "{{/unless}}",
    "{{!-- ",
    "--}}",
    "{{! c }}",
    "{{{",
    "}}",
    "\\{{",
    "{{~",
    "https://",
    "://",
    "java",
    "script:",
    "&colon;",
    "&#106;",
    "<script",
    "onclick=",
    "{{referencia}}",
    "\n---\n",
    "{\"x\":\"",
    "\"}",
    "data:",
    "\u{200d}",
    "👩",
    "{{link}}",
];
pub(super) const VARIABLE_WORDS: &[&str] = &[
    "{",
    "}",
    "\"x\":",
    "\"link\":\"https://pagar.example/1\"",
    "null",
    "1.5",
    "true",
    "\"nome\":\"a\"",
    "\"else1\":1",
    "[1]",
    ",",
    "\"a\":\"javascript:\"",
    "\\u202e",
    "\\u0000",
    "\\ud83d\\ude00",
];
pub(super) const SCHEMA_WORDS: &[&str] = &[
    "{\"type\":\"object\"}",
    "\"properties\":{\"a\":{}}",
    "\"pattern\":\"^(a+)+$\"",
    "\"$ref\":\"#/$defs/a\"",
    "\"$defs\":{\"a\":{}}",
    "\"required\":[\"a\"]",
    "\"allOf\":[",
    "\"not\":{",
    "\"anyOf\":[{}]",
    "\"patternProperties\":{\"^a\":{}}",
    "\n---\n",
    "{\"a\":\"",
    "aaaa",
    "\"format\":\"email\"",
    "\"minimum\":",
    "\"const\":",
    "\"enum\":[",
    "\"additionalProperties\":false",
    "\"$id\":\"http://x\"",
    "\"unevaluatedProperties\":false",
    "\\\\w{1000}",
    "\"if\":{}",
    "\"multipleOf\":0",
];

pub(super) fn template(input: &[u8]) -> Result<String, String> {
    parse(&String::from_utf8_lossy(input)).map(|template| match template {
        Ok(template) => format!("accepted {}", template.variables().len().min(4)),
        Err(code) => code,
    })
}

/// The parsed template, or the code of its error.
fn parse(source: &str) -> Result<Result<MessageTemplate, String>, String> {
    match MessageTemplate::parse(source) {
        Ok(template) => {
            ensure(template.source().chars().count() <= 4096, "a template has 4096 characters at most")?;
            ensure(is_clean(template.source(), &['\n', '\t']), "a template holds nothing invisible")?;
            let again = MessageTemplate::parse(template.source())
                .map_err(|error| format!("the source of a template is parsed: {error}"))?;
            ensure(again.variables() == template.variables(), "the text of a template is parsed to itself")?;
            Ok(Ok(template))
        }
        Err(error) => {
            ensure(error.code() != "template_syntax", "the engine accepts what the grammar accepts")?;
            ensure(
                error.line >= 1 && error.line <= source.lines().count().max(1) + 1,
                "a line is one of the template's",
            )?;
            check_text(&error.text())?;
            Ok(Err(error.code().to_owned()))
        }
    }
}

pub(super) fn render(input: &[u8]) -> Result<String, String> {
    let (source, own) = parts(input);
    let template = match parse(&source)? {
        Ok(template) => template,
        Err(code) => return Ok(code),
    };
    let own = match serde_json::from_str::<Value>(&own) {
        Ok(Value::Object(own)) => OwnVariables::parse(&own).unwrap_or_default(),
        _ => OwnVariables::default(),
    };
    let reference = Reference::from_bits(7);
    let variables = variables_of(&own, reference)?;
    let rendered = template.message(&variables, reference);
    ensure(rendered == template.message(&variables, reference), "equal inputs have equal results")?;
    match rendered {
        Ok(message) => {
            ensure(message.chars().count() <= 4096, "a message has 4096 characters at most")?;
            ensure(!message.trim().is_empty() && reference.appears_in(&message), "a message carries its reference")?;
            ensure(is_clean(&message, &['\n', '\t']), "a message holds nothing invisible")?;
            ensure(is_harmless(&message), "a message has no script and only web links")?;
            Ok("rendered".to_owned())
        }
        Err(error) => {
            ensure(!matches!(error, RenderError::Engine { .. }), "the engine renders what the grammar accepts")?;
            check_text(&error.text())?;
            Ok(error.code().to_owned())
        }
    }
}

/// A second, coarse implementation of the check for scripts and schemes.
fn is_harmless(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    let has_script =
        ["javascript:", "vbscript:", "<script", "<iframe", "data:text/html"].iter().any(|word| message.contains(word));
    let has_web_links_only = message.match_indices("://").all(|(at, _)| {
        let before = &message[..at];
        let scheme = before.rsplit(|other: char| !other.is_ascii_alphanumeric()).next().unwrap_or_default();
        matches!(scheme, "http" | "https")
    });
    !has_script && has_web_links_only
}

fn variables_of(own: &OwnVariables, reference: Reference) -> Result<Variables, String> {
    let name = ContactName::parse("MARIA DA SILVA").map_err(|error| error.to_string())?;
    let phone = PhoneNumber::parse("11988887777").map_err(|error| error.to_string())?;
    let today = chrono::NaiveDate::from_ymd_opt(2026, 11, 21).unwrap_or_default();
    let details = ContactDetails {
        name: &name,
        phone: &phone,
        amount: Money::from_cents(123_456).ok(),
        due_date: Some(today),
        company: "ACME",
        reference,
    };
    Ok(Variables::new(&details, own, today))
}

pub(super) fn variables(input: &[u8]) -> Result<String, String> {
    let Ok(Value::Object(sent)) = serde_json::from_slice(input) else { return Ok("no object".to_owned()) };
    match OwnVariables::parse(&sent) {
        Ok(own) => {
            ensure(own.as_map().len() <= 50, "there are fifty variables at most")?;
            for (name, value) in own.as_map() {
                let is_name = name.len() <= 40
                    && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
                ensure(is_name && !VARIABLE_NAMES.contains(&name.as_str()), "a variable has a valid name")?;
                ensure(!value.is_array() && !value.is_object() && !value.is_null(), "a variable is a scalar")?;
                let text = value.as_str().unwrap_or_default();
                ensure(text.chars().count() <= 1000, "a variable has 1000 characters at most")?;
                ensure(is_clean(text, &['\n']) && is_harmless(text), "a variable is harmless")?;
            }
            ensure(OwnVariables::parse(own.as_map()).as_ref() == Ok(&own), "variables are parsed to themselves")?;
            Ok(format!("accepted {}", own.as_map().len().min(3)))
        }
        Err(error) => {
            check_text(&error.text())?;
            Ok(error.code().to_owned())
        }
    }
}

pub(super) fn schema(input: &[u8]) -> Result<String, String> {
    let (schema, own) = parts(input);
    let Ok(schema) = serde_json::from_str::<Value>(&schema) else { return Ok("no JSON".to_owned()) };
    let schema = match VariablesSchema::parse(&schema) {
        Ok(schema) => schema,
        Err(error) => {
            differs_by_language(&error.text())?;
            return Ok(error.code().to_owned());
        }
    };
    let Ok(Value::Object(own)) = serde_json::from_str(&own) else { return Ok("accepted".to_owned()) };
    let own = OwnVariables::parse(&own).unwrap_or_default();
    let checked = schema.check(own.as_map());
    ensure(checked == schema.check(own.as_map()), "equal inputs have equal results")?;
    Ok(checked.map_or_else(|violation| format!("breaks {}", violation.keyword), |()| "fits".to_owned()))
}
