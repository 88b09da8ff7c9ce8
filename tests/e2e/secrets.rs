//! Secrets are sealed in the database, can be opened for their own row only, and appear in no log and no answer.

use std::process::{Command, Stdio};

use chrono::TimeDelta;
use clap::CommandFactory;
use regua_domain::{InstanceId, Sealed};
use regua_secrets::{DEVELOPMENT_SECRET_KEY, Place, SecretKeys};
use regua_tests::{Client, Fleet, Tenant, TenantOptions, batch, eventually, logs};
use serde_json::{Value, json};

const BINARY: &str = env!("CARGO_BIN_EXE_regua-test-process");

/// Writes a token into the row of an instance without sealing it.
async fn write_token(fleet: &Fleet, tenant: &Tenant, instance: InstanceId, token: &str) {
    #[expect(clippy::disallowed_methods, reason = "a test writes what no program does")]
    let written = sqlx::query("update instances set token = $3 where tenant_id = $1 and instance_id = $2")
        .bind(tenant.id.0)
        .bind(instance.0)
        .bind(token)
        .execute(&fleet.database.pool)
        .await
        .unwrap();
    assert_eq!(written.rows_affected(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_stored_sealed_and_plain_tokens_are_still_read() {
    let (fleet, tenant, erp) = Fleet::with_tenant(TenantOptions::default()).await;
    let sealed = "select count(*) from instances where token like 'v1:%' and token not like '%token-of%'";
    assert_eq!(fleet.count(sealed).await, 1);
    let queue = erp.send_accepted("overdue", &batch("lote-a", 3)).await;
    erp.wait_for_status(&queue, "completed").await;

    fleet.wait_for_free_lanes().await;
    write_token(&fleet, &tenant, tenant.instances[0], &tenant.tokens[0]).await;
    let queue = erp.send_accepted("overdue", &batch("lote-b", 3)).await;
    erp.wait_for_status(&queue, "completed").await;
    fleet.assert_each_left_once(6);
    fleet.end().await;
}

/// Posts a batch for one instance. Returns its queue.
async fn post_for_instance(erp: &Client, name: &str, external_id: &str) -> String {
    let mut body = batch(external_id, 3);
    body["instance"] = json!(name);
    erp.send_accepted("overdue", &body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn unreadable_token_holds_only_its_own_instance_and_is_logged_once() {
    let instances = vec!["matriz".to_owned(), "filial".to_owned()];
    let (fleet, tenant, erp) = Fleet::with_tenant(TenantOptions { instances, ..TenantOptions::default() }).await;
    let unreadable = tenant.instances[1];
    // The instance's token, sealed with the right key for another row.
    let elsewhere = Place::instance_token(tenant.id, tenant.instances[0]);
    let sealed_elsewhere = SecretKeys::development().seal(&elsewhere, &tenant.tokens[1]).unwrap();
    write_token(&fleet, &tenant, unreadable, sealed_elsewhere.as_str()).await;

    let held = post_for_instance(&erp, "filial", "lote-a").await;
    let free = post_for_instance(&erp, "matriz", "lote-b").await;
    erp.wait_for_status(&free, "completed").await;
    let down = erp.wait_for_status(&held, "instance_down").await;
    assert_eq!((&down["reason"], &down["pending"]), (&json!("token_unreadable"), &json!(3)), "{down:#}");
    let checked = format!(
        "select extract(epoch from state_checked_at)::bigint from instances where instance_id = '{unreadable}'"
    );
    for _ in 0..2 {
        let before = fleet.count(&checked).await;
        fleet.manual_clock.set(fleet.clock.now() + TimeDelta::seconds(61));
        eventually("another check", async || fleet.count(&checked).await > before).await;
    }
    let logged = fleet.logged();
    let is_warning = |line: &&str| line.contains("WARN") && line.contains(&unreadable.to_string());
    let warnings: Vec<_> = logged.lines().filter(is_warning).collect();
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    let ciphertext = Sealed::parse(sealed_elsewhere.as_str()).unwrap().ciphertext().to_owned();
    assert!(warnings[0].contains("token_unreadable") && !warnings[0].contains(&ciphertext));

    let own = Place::instance_token(tenant.id, unreadable);
    let right = SecretKeys::development().seal(&own, &tenant.tokens[1]).unwrap();
    write_token(&fleet, &tenant, unreadable, right.as_str()).await;
    fleet.manual_clock.set(fleet.clock.now() + TimeDelta::seconds(61));
    erp.wait_for_status(&held, "completed").await;
    fleet.assert_each_left_once(6);
    fleet.end().await;
}

fn random() -> uuid::Uuid {
    uuid::Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, 0, 0))
}

/// Every fleet and process searches its log for secrets when it ends. This test uses the same capture and the same
/// search.
#[tokio::test(flavor = "multi_thread")]
async fn secret_or_phone_number_in_log_is_found() {
    let (fleet, ..) = Fleet::with_tenant(TenantOptions::default()).await;
    // Not registered with `register_secret`, so that no other test's fleet finds this text.
    let planted = format!("planted-{}", random());
    let watch = logs::Watch::begin();
    tracing::trace!(target: "regua_worker::lane", token = planted.as_str(), "planted");
    tracing::debug!(target: "hyper::client", "planted {planted}");
    let found = String::from_utf8(watch.text()).unwrap();
    assert_eq!(found.matches(&planted).count(), 2, "both lines are captured");
    drop(watch);
    fleet.end().await;

    let secret = format!("planted-{}", random());
    logs::register_secret(&secret);
    logs::register_phone("(85) 97654-3219");
    for line in
        ["token=SECRET", "to 5585976543219 now", "+5585976543219", "85976543219", "(85) 97654-3219", "x5585976543219y"]
    {
        let line = line.replace("SECRET", &secret);
        let text = format!("a line\n{line}\nanother");
        assert_eq!(logs::leaks_in(text.as_bytes()), std::slice::from_ref(&line), "{line}");
    }
    for line in ["token=…", "5585976543210", "976543219", "019a9f3c-0000-7000-8000-585976543210"] {
        assert!(logs::leaks_in(line.as_bytes()).is_empty(), "{line}");
    }
}

#[test]
fn program_without_secret_key_fails_and_names_the_variable() {
    let short = "c2VncmVkby1jdXJ0bw==";
    for program in ["api", "worker", "periodic"] {
        for (key, expected) in [(None, "REGUA_SECRET_KEY is not set"), (Some(short), "REGUA_SECRET_KEY is not 32")] {
            let mut command = Command::new(BINARY);
            command.arg(program).env("DATABASE_URL", "postgres://nobody@127.0.0.1:1/x").env_remove("AMQP_URL");
            command.env_remove("REGUA_SECRET_KEY").env("PORT", "0").env("METRICS_PORT", "0");
            command.envs(key.map(|key| ("REGUA_SECRET_KEY", key))).stdin(Stdio::null());
            let output = command.output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!output.status.success() && said.contains(expected) && !said.contains(short), "{program}: {said}");
        }
    }
}

/// The configuration of each program, with every option set that can contain a secret.
fn configurations() -> Vec<(clap::Command, String)> {
    let common = [
        "x",
        "--database-url",
        "postgres://regua:senha-secreta-1@db/regua",
        "--amqp-url",
        "amqp://regua:senha-secreta-2@mq/%2f",
        "--secret-key",
        DEVELOPMENT_SECRET_KEY,
        "--old-secret-keys",
        "c2VuaGEtc2VjcmV0YS0zc2VuaGEtc2VjcmV0YS0zMTI=",
    ];
    let api = [&common[..], &["--database-replica-url", "postgres://regua:senha-secreta-4@db/regua"]].concat();
    use clap::Parser as _;
    use regua_api::config::Config as Api;
    use regua_periodic::config::Config as Periodic;
    use regua_worker::config::Config as Worker;
    vec![
        (Api::command(), format!("{:?}", Api::parse_from(api))),
        (Worker::command(), format!("{:?}", Worker::parse_from(common))),
        (Periodic::command(), format!("{:?}", Periodic::parse_from(common))),
    ]
}

#[test]
fn configuration_hides_secrets_in_debug_and_help() {
    for (command, debug) in configurations() {
        for secret in ["senha-secreta", DEVELOPMENT_SECRET_KEY, "c2VuaGEt"] {
            assert!(!debug.contains(secret), "{}: {debug}", command.get_name());
        }
        for argument in command.get_arguments() {
            let Some(name) = argument.get_env().and_then(std::ffi::OsStr::to_str) else { continue };
            let is_public = name == "REGUA_PUBLIC_URL";
            let is_secret = ["URL", "KEY", "TOKEN", "SECRET", "PASSWORD"].iter().any(|part| name.contains(part));
            assert!(!is_secret || is_public || argument.is_hide_env_values_set(), "--help shows the value of {name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn api_answers_contain_no_token() {
    let (fleet, tenant, erp) = Fleet::with_tenant(TenantOptions::default()).await;
    fleet.subscribe_webhook(&tenant, "matriz").await;
    let queue = erp.send_accepted("notification", &batch("lote-a", 2)).await;
    erp.wait_for_status(&queue, "completed").await;
    let contact = erp.contacts(&queue).await[0].clone();
    let seen: [Value; 3] =
        [erp.status(&queue).await, contact.clone(), erp.contact(contact["contact_id"].as_str().unwrap()).await];
    for answer in seen {
        let text = answer.to_string();
        assert!(!text.contains(&tenant.tokens[0]) && !text.contains("v1:"), "{text}");
    }
    fleet.end().await;
}
