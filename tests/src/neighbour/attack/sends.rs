//! Sends that the gateway never answers.

use regua_sandbox::{Effect, Fault};

use super::Target;
use super::batches::{SEND, batch};
use super::wire::{address, ask};

/// The requests hang until the worker gives them up, long after the attack.
pub(super) async fn hang(target: &Target) -> String {
    let faults: Vec<_> = target
        .instances
        .iter()
        .map(|instance| Fault { instance: Some(instance.clone()), ..Fault::every_send(Effect::Hang) })
        .collect();
    let put = reqwest::Client::new().put(format!("{}/sandbox/faults", target.gateway)).json(&faults).send().await;
    assert!(put.is_ok_and(|answer| answer.status().is_success()), "the sandbox refuses the faults");
    let mut accepted = 0;
    let contacts = target.divided(300);
    for instance in &target.instances {
        let body = batch(instance, contacts, &format!(r#","instance":"{instance}""#), "");
        let status = ask(target.api, address(0), target.with_key(SEND, body.as_bytes())).await;
        accepted += usize::from(status == Some(202));
    }
    tokio::time::sleep(target.seconds(15)).await;
    format!("{accepted} batches of {contacts} contacts accepted")
}
