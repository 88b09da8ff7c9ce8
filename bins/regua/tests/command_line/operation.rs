//! Commands about contacts and debtors.

use std::process::{Command, Output};

use regua_secrets::DEVELOPMENT_SECRET_KEY;
use regua_tests::{Fleet, TenantOptions, batch};
use serde_json::Value;

use super::regua;

#[tokio::test(flavor = "multi_thread")]
async fn unconfirmed_contact_is_decided_by_its_reference() {
    let (fleet, tenant, erp) = Fleet::with_tenant(TenantOptions::default()).await;
    let lost = regua_sandbox::Fault::every_send(regua_sandbox::Effect::TimedOut400);
    fleet.sandbox.set_faults(vec![lost]).unwrap();
    let queue = erp.send_accepted("overdue", &batch("lote-a", 1)).await;
    erp.wait_until(&queue, "unconfirmed", |queue| queue["unconfirmed"] == 1).await;
    let reference = erp.contacts(&queue).await[0]["reference"].as_str().unwrap().to_owned();
    let call = |arguments: &[&str]| {
        let arguments: Vec<_> = [arguments, &["--url", &fleet.api, "--key", &tenant.key]].concat();
        regua(&fleet.database, &arguments.iter().map(|argument| &**argument).collect::<Vec<_>>())
    };
    let output = |output: &Output| String::from_utf8(output.stdout.clone()).unwrap();
    let shown = call(&["contact", "show", &reference]);
    assert!(output(&shown).contains("write_timed_out"), "{}", output(&shown));
    let given_up = call(&["contact", "give-up", &reference, "--by", "Ana", "--json"]);
    let contact: Value = serde_json::from_str(&output(&given_up)).unwrap();
    assert_eq!((&contact["status"], &contact["reason"]), (&"failed".into(), &"given_up".into()), "{contact:#}");
    let again = call(&["contact", "resend", &reference]);
    assert_eq!(again.status.code(), Some(1), "the contact is no longer unconfirmed");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn debtor_is_exported_and_erased_without_identity_in_the_audit_log() {
    let (fleet, _, erp) = Fleet::with_tenant(TenantOptions::default()).await;
    let queue = erp.send_accepted("overdue", &batch("lote-a", 2)).await;
    erp.wait_for_status(&queue, "completed").await;
    let call = |action: &str, arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_regua"));
        command.args(["debtor", action, "--tenant", "acme"]).args(arguments).env("DATABASE_URL", &fleet.database.url);
        command.env("REGUA_SECRET_KEY", DEVELOPMENT_SECRET_KEY).output().expect("regua runs")
    };
    let json = |output: &Output| serde_json::from_slice::<Value>(&output.stdout).expect("JSON");
    let phone = regua_tests::number("lote-a", 0);
    let shown = json(&call("export", &["--phone", &phone]));
    assert_eq!(shown["contacts"][0]["external_id"], "lote-a-0", "{shown:#}");
    let erased = json(&call("erase", &["--external-id", "lote-a-0", "--reason", "consent_withdrawn"]));
    let expected = serde_json::json!({"erased": 1, "cancelled": 0, "being_sent": 0, "erased_before": 0});
    assert_eq!(erased, expected);
    let reason = "select count(*) from audit_log where after->>'reason' = 'consent_withdrawn'";
    assert_eq!(fleet.count(reason).await, 1);
    assert_eq!(call("erase", &["--external-id", "lote-a-0", "--reason", "because"]).status.code(), Some(2));
    let again = json(&call("export", &["--phone", &phone]));
    assert_eq!((&again["contacts"][0]["phone"], &again["contacts"][0]["status"]), (&"".into(), &"sent".into()));
    let wrong = call("erase", &["--phone", "123456"]);
    assert_eq!(wrong.status.code(), Some(2));
    let anonymous =
        "select count(*) from audit_log where actor_kind = 'command_line' and after::text not like '%lote-a%'
                 and after::text not like '%55119%'";
    assert_eq!(fleet.count(anonymous).await, 3);
    fleet.end_without_the_ledger().await;
}
