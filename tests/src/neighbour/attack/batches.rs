//! Batches that cost much: large ones, abandoned ones, and one with deep metadata.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::sleep;

use super::Target;
use super::load::Load;
use super::wire::{address, ask, connect};

pub(super) const SEND: &str = "POST /api/v1/billing/send/notification";
/// Contacts of a large batch.
const LARGE: usize = 10_000;

/// A batch of valid contacts. `more` is further members of the batch, each with a comma before it, `of_contact` of each
/// contact.
pub(super) fn batch(external_id: &str, contacts: usize, more: &str, of_contact: &str) -> String {
    let mut text = format!(r#"{{"external_id":"{external_id}"{more},"contacts":["#);
    for n in 0..contacts {
        let comma = if n == 0 { "" } else { "," };
        let phone = 10_000_000 + n;
        let _written = write!(
            text,
            r#"{comma}{{"external_id":"{external_id}-{n}","name":"Maria da Silva","phone":"+55119{phone:08}"{of_contact}}}"#
        );
    }
    text + "]}"
}

/// The member of a batch that is not due in this run.
pub(super) fn much_later() -> String {
    let day = regua_boot::Clock::system().now() + chrono::TimeDelta::days(180);
    format!(r#","scheduled_for":"{}""#, day.format("%Y-%m-%dT%H:%M:%SZ"))
}

/// Batches that are written whole. The connection is closed 60 ms later, while the API works.
pub(super) async fn hang_up(target: &Target) -> String {
    let body: Arc<str> = batch("NUMBER", target.divided(LARGE), "", "").into();
    let load = Load { count: 10_000, at_once: 8, over: Duration::ZERO, at_most: target.seconds(15) };
    let answers = load.run(|n| {
        let (target, body) = (target.clone(), Arc::clone(&body));
        async move {
            let body = body.replacen("NUMBER", &format!("abandonado-{n}"), 1);
            let mut stream = connect(target.api, address(0)).await.ok()?;
            stream.write_all(&target.with_key(SEND, body.as_bytes())).await.ok()?;
            sleep(Duration::from_millis(60)).await;
            None
        }
    });
    answers.await.to_string()
}

pub(super) async fn post_nested_metadata(target: &Target) -> String {
    let objects = r#"{"a":0},"#.repeat(((32 << 20) / target.divisor - 1024) / 8);
    let body = batch("aninhado", 1, &format!(r#","metadata":{{"a":[{objects}0]}}"#), "");
    let request = target.with_key(SEND, body.as_bytes());
    let status = tokio::time::timeout(Duration::from_secs(30), ask(target.api, address(0), request)).await;
    format!("{} bytes, answer {:?}", body.len(), status.ok().flatten())
}

pub(super) async fn post_without_pause(target: &Target) -> String {
    let body: Arc<str> = batch("NUMBER", target.divided(LARGE), "", "").into();
    let load = Load { count: 10_000, at_once: 4, over: Duration::ZERO, at_most: target.seconds(15) };
    let answers = load.run(|n| {
        let (target, body) = (target.clone(), Arc::clone(&body));
        async move {
            let body = body.replacen("NUMBER", &format!("grande-{n}"), 1);
            ask(target.api, address(n % 4), target.with_key(SEND, body.as_bytes())).await
        }
    });
    answers.await.to_string()
}
