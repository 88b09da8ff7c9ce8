//! A sandbox that starts with a journal restores its ledger and its history.

use crate::running::{settings, start};
use regua_sandbox::{Effect, Fault, InstanceSettings, Settings};
use serde_json::{Value, json};

#[tokio::test]
async fn ledger_and_history_survive_a_restart() -> anyhow::Result<()> {
    let journal = std::env::temp_dir().join(format!("regua-sandbox-journal-{}", std::process::id()));
    let instances = vec![InstanceSettings::connected("evo1", "T1")];
    let settings = Settings { journal: Some(journal.clone()), instances, ..settings() };
    let first = start(settings.clone()).await?;
    first.request("POST /message/sendText/evo1", Some("T1"))?.json(&text("Ref. AAAAAA")).send().await?;
    let unstored = vec![Fault::every_send(Effect::Database400)];
    assert!(first.sandbox.set_faults(unstored).is_ok());
    first.request("POST /message/sendText/evo1", Some("T1"))?.json(&text("Ref. BBBBBB")).send().await?;
    let left = first.sandbox.ledger();
    first.stop().await?;

    let second = start(settings).await?;
    assert!(left.len() == 2 && second.sandbox.ledger() == left, "the ledgers differ");
    let query = json!({"where": {"key": {"fromMe": true}}});
    let found = second.request("POST /chat/findMessages/evo1", Some("T1"))?.json(&query).send().await?;
    let found: Value = found.json().await?;
    assert_eq!(found["messages"]["total"], 1, "only one row was stored: {found:#}");
    second.request("POST /message/sendText/evo1", Some("T1"))?.json(&text("Ref. CCCCCC")).send().await?;
    assert_eq!(second.sandbox.ledger().last().map(|entry| entry.sequence), Some(3));
    second.stop().await?;
    std::fs::remove_file(journal)?;
    Ok(())
}

fn text(text: &str) -> Value {
    json!({"number": "5511988887777", "text": text})
}
