//! sendText, sendMedia and sendButtons. The work continues when the caller closes the connection.

use std::time::Duration;

use axum::extract::State;
use serde_json::{Value, json};

use super::guard::{Guarded, end};
use crate::answer::Answer;
use crate::instance::InstanceState;
use crate::sandbox::Sandbox;
use crate::schema::{SEND_BUTTONS, SEND_MEDIA, SEND_TEXT};
use crate::sending::{self, Order};
use crate::settings::Integration;

pub(super) async fn send_text(State(sandbox): State<Sandbox>, request: Guarded) -> Result<Answer, Answer> {
    SEND_TEXT.check(&request.body)?;
    let text = text_of(&request.body, "text");
    let loaded = request.instance.link().state != InstanceState::Absent;
    if loaded && request.instance.integration == Integration::Baileys && text.trim().is_empty() {
        return Err(Answer::thrown("Text is required"));
    }
    let message = json!({"conversation": text});
    Ok(send(&sandbox, request, text, "conversation".to_owned(), message).await)
}

pub(super) async fn send_media(State(sandbox): State<Sandbox>, request: Guarded) -> Result<Answer, Answer> {
    SEND_MEDIA.check(&request.body)?;
    check_media(&request.body)?;
    // The upload to WhatsApp comes before the number lookup, so its failure is a 500.
    let baileys = request.instance.integration == Integration::Baileys;
    if baileys && request.instance.link().state != InstanceState::Open {
        return Err(Answer::internal(json!(["Error: Connection Closed"])));
    }
    let message_type = format!("{}Message", text_of(&request.body, "mediatype"));
    let message = if baileys { json!({&message_type: described(&request.body)}) } else { json!({"mediaUrl": null}) };
    let caption = text_of(&request.body, "caption");
    Ok(send(&sandbox, request, caption, message_type, message).await)
}

pub(super) async fn send_buttons(State(sandbox): State<Sandbox>, request: Guarded) -> Result<Answer, Answer> {
    SEND_BUTTONS.check(&request.body)?;
    let (title, description) = (text_of(&request.body, "title"), text_of(&request.body, "description"));
    let message = json!({"interactiveMessage": {"title": title, "body": description}});
    let text = if description.is_empty() { title } else { description };
    Ok(send(&sandbox, request, text, "interactiveMessage".to_owned(), message).await)
}

async fn send(sandbox: &Sandbox, request: Guarded, text: String, message_type: String, message: Value) -> Answer {
    let Guarded { instance, body, received_at, connection } = request;
    let delay = Duration::from_millis(body["delay"].as_u64().unwrap_or(0));
    let number = text_of(&body, "number");
    let order = Order { instance, number, text, message_type, message, delay, received_at };
    // A separate task, because this future is dropped when the caller gives up.
    let sending = sandbox.tasks.spawn(sending::send(sandbox.clone(), order));
    let answer = sending.await.unwrap_or(Answer::CUT);
    end(sandbox, &connection, answer).await
}

fn check_media(body: &Value) -> Result<(), Answer> {
    let media = text_of(body, "media");
    if is_base64(&media) && body["fileName"].is_null() && body["mediatype"] == "document" {
        return Err(Answer::thrown("For base64 the file name must be informed."));
    }
    if is_base64(&media) || is_url(&media) {
        return Ok(());
    }
    Err(Answer::thrown("Owned media must be a url or base64"))
}

fn is_base64(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    !text.is_empty() && text.len().is_multiple_of(4) && text.len() - body.len() <= 2 && body.bytes().all(is_digit)
}

/// Evolution refuses a host without a dot, such as `http://minio:9000/…`.
fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    rest.and_then(|rest| rest.split(['/', '?', '#', ':']).next()).is_some_and(|host| host.contains('.'))
}

fn described(body: &Value) -> Value {
    json!({"caption": body["caption"], "fileName": body["fileName"], "mimetype": body["mimetype"]})
}

fn text_of(body: &Value, field: &str) -> String {
    body[field].as_str().unwrap_or_default().to_owned()
}
