//! Webhook events: stored at once, matched later, and accepted as proof at any time.

use regua_sandbox::StatusTimes;
use serde_json::Value;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn webhook_proves_message_that_gateway_history_does_not_show() {
    let (fleet, tenant, erp) = fleet().await;
    fleet.subscribe_webhook(&tenant, "matriz").await;
    fleet.sandbox.set_faults(vec![unknown(0, true), unknown(1, false), blind()]).unwrap();
    let queue = erp.send_accepted("notification", &batch("lote-a", 3)).await;
    // The event arrives before or after the outcome; the first look finds it in both cases.
    erp.wait_until(&queue, "tried", |queue| queue["pending"] == 0 && queue["sending"] == 0).await;
    fleet.manual_clock.set(fleet.clock.now() + TimeDelta::seconds(16));
    let found = erp.wait_until(&queue, "proven", |queue| queue["sent"] == 2).await;
    assert_eq!(found["unconfirmed"], 1, "{found:#}");
    let history = erp.contact(erp.contacts(&queue).await[0]["contact_id"].as_str().unwrap()).await["history"].clone();
    assert_eq!((&history[0]["outcome"], &history[0]["settled_by"]), (&json!("sent"), &json!("webhook")), "{history:#}");
    until_matched(&fleet).await;
    fleet.assert_each_left_once(2);
    fleet.end_unfinished().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn proof_after_operator_gave_up_makes_contact_sent() {
    let (fleet, tenant, erp) = fleet().await;
    let secret = fleet.subscribe_webhook(&tenant, "matriz").await;
    fleet.sandbox.set_faults(vec![unknown(0, false), blind()]).unwrap();
    let queue = erp.send_accepted("overdue", &batch("lote-a", 1)).await;
    erp.wait_until(&queue, "unconfirmed", |queue| queue["unconfirmed"] == 1).await;
    let contact = erp.contacts(&queue).await[0].clone();
    let id = contact["contact_id"].as_str().unwrap();
    assert_eq!(erp.decide(id, "give_up").await.status, StatusCode::OK);
    assert_eq!(erp.status(&queue).await["status"], "failed");

    let reference = contact["reference"].as_str().unwrap();
    let text = format!("Olá Maria, sua fatura espera por você. Ref. {reference}");
    let event = |number: &str, id: &str, text: &str| {
        let key = json!({"fromMe": true, "id": id, "remoteJid": if number.contains('@') { number.to_owned() } else { format!("{number}@s.whatsapp.net") }});
        let data =
            json!({"key": key, "message": {"conversation": text}, "messageTimestamp": fleet.clock.now().timestamp()});
        json!({"event": "send.message", "instance": "matriz", "data": data, "apikey": "token-of-acme-matriz"})
    };
    let other_number = event("5511900000000", "3EB0FF", &text);
    let group = event("120363041234567890@g.us", "3EB0FE", &text);
    let quoted = event(&number("lote-a", 0), "3EB0FD", &format!("Sobre a Ref. {reference}: podemos ajudar?"));
    let proof = event(&number("lote-a", 0), "3EB001", &text);
    for event in [&other_number, &group, &quoted, &proof, &proof] {
        let answer = post(&fleet.webhook_url(&tenant), &secret, event).await;
        assert_eq!((answer.0, &answer.1["stored"]), (StatusCode::OK, &json!(true)), "{answer:?}");
    }
    let proven = erp.wait_until(&queue, "proven", |queue| queue["sent"] == 1).await;
    assert_eq!((&proven["status"], &proven["failed"]), (&json!("completed"), &json!(0)), "{proven:#}");
    assert_eq!(erp.contact(id).await["message_id"], "3EB001");
    assert_eq!(
        fleet.count("select count(*) from evidence where source = 'webhook'").await,
        1,
        "the repeated proof is stored once"
    );
    // The message is not in the sandbox's ledger, so only the database's own counts are compared.
    fleet.end_without_the_ledger().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn webhook_event_that_waited_for_days_is_matched_before_deletion() {
    let options = FleetOptions { periodic: false, send_timeout: Duration::from_secs(1), ..FleetOptions::default() };
    let (mut fleet, tenant, erp) = Fleet::with(options, TenantOptions::default()).await;
    fleet.subscribe_webhook(&tenant, "matriz").await;
    fleet.sandbox.set_faults(vec![unknown(0, true), blind()]).unwrap();
    let queue = erp.send_accepted("notification", &batch("lote-a", 1)).await;
    erp.wait_until(&queue, "unconfirmed", |queue| queue["unconfirmed"] == 1).await;
    eventually("the webhook event to be stored", async || {
        fleet.count("select count(*) from webhook_events").await == 1
    })
    .await;
    fleet.manual_clock.set(fleet.clock.now() + TimeDelta::days(3));
    fleet.start_periodic();
    erp.wait_until(&queue, "proven", |queue| queue["sent"] == 1).await;
    fleet.assert_each_left_once(1);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn delivery_statuses_update_sent_contact_at_any_time() {
    let (fleet, tenant, erp) = fleet().await;
    fleet.subscribe_webhook(&tenant, "matriz").await;
    fleet.sandbox.set_statuses(StatusTimes { delivery_ack_ms: Some(0), read_ms: Some(30) });
    let queue = erp.send_accepted("overdue", &batch("lote-a", 20)).await;
    erp.wait_for_status(&queue, "completed").await;
    // A status that arrives before its send's outcome is matched half a minute later.
    let mut seen = Value::Null;
    eventually("all messages to be read", async || {
        fleet.manual_clock.set(fleet.clock.now() + TimeDelta::seconds(1));
        seen = erp.status(&queue).await;
        seen["read"] == 20 && seen["delivered"] == 20
    })
    .await;
    let contact = &erp.contacts(&queue).await[0];
    assert!(contact["delivered_at"].is_string() && contact["read_at"].is_string(), "{contact:#}");
    until_matched(&fleet).await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn webhook_with_wrong_secret_is_refused_and_irrelevant_event_is_not_stored() {
    let (fleet, tenant, _) = fleet().await;
    let url = fleet.webhook_url(&tenant);
    let event = json!({"event": "send.message", "data": {}});
    assert_eq!(post(&url, "", &event).await.0, StatusCode::UNAUTHORIZED, "the instance has no webhook secret yet");
    let secret = fleet.subscribe_webhook(&tenant, "matriz").await;
    assert_eq!(post(&url, "wrong", &event).await.0, StatusCode::UNAUTHORIZED);
    let unknown = url.replace(&tenant.instances[0].to_string(), "019a9f3c-0000-7000-8000-000000000000");
    let refused = post(&unknown, &secret, &event).await;
    assert_eq!((refused.0, &refused.1["code"]), (StatusCode::UNAUTHORIZED, &json!("webhook_secret_invalid")));
    let with_nul = json!({"event": "send.message", "data": {
        "key": {"id": "3EB0C767D26A1B2C3D4E", "remoteJid": "1@lid"}, "message": {"conversation": "Olá\u{0}"},
    }});
    for malformed in [json!([]), with_nul] {
        assert_eq!(post(&url, &secret, &malformed).await.0, StatusCode::BAD_REQUEST);
    }
    assert_eq!(fleet.count("select count(*) from webhook_events").await, 0);
    for (event, stored) in [
        (json!({"event": "connection.update", "data": {"state": "open"}}), false),
        (json!({"event": "send.message"}), true),
        (json!({"event": "send.message", "data": {"unread": "\u{0}"}}), true),
        (json!({"event": "messages.update", "data": {"keyId": 5}}), true),
    ] {
        let answer = post(&url, &secret, &event).await;
        assert_eq!((answer.0, &answer.1["stored"]), (StatusCode::OK, &json!(stored)), "{event}");
    }
    until_matched(&fleet).await;
    fleet.end().await;
}

async fn post(url: &str, secret: &str, event: &Value) -> (StatusCode, Value) {
    let request = reqwest::Client::new().post(url).header("X-Regua-Webhook-Secret", secret).json(event);
    let answer = Client::answer(request).await;
    (answer.status, answer.body)
}

/// A status event of a message, as Evolution posts it.
pub(super) fn status_event(message_id: &str, status: &str) -> Value {
    let data = json!({"keyId": message_id, "remoteJid": "99887766@lid", "fromMe": true, "status": status});
    json!({"event": "messages.update", "instance": "matriz", "data": data})
}

/// Posts an event and asserts that it is stored.
pub(super) async fn post_stored(url: &str, secret: &str, event: &Value) {
    let answer = post(url, secret, event).await;
    assert_eq!((answer.0, &answer.1["stored"]), (StatusCode::OK, &json!(true)), "{answer:?}");
}

pub(super) async fn until_matched(fleet: &Fleet) {
    let waiting = "select count(*) from webhook_events where source = 'evolution'";
    eventually("all events to be matched", async || fleet.count(waiting).await == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replayed_webhook_changes_nothing() {
    let (fleet, tenant, erp) = fleet().await;
    let queue = erp.send_accepted("overdue", &batch("lote-a", 1)).await;
    erp.wait_for_status(&queue, "completed").await;
    // The test posts every event itself: the sandbox posts none.
    let secret = set_secret(&fleet, &tenant, 0, 9).await;
    let url = fleet.webhook_url(&tenant);
    let contact = erp.contacts(&queue).await[0].clone();
    let id = contact["message_id"].as_str().unwrap();
    let entry = fleet.sandbox.ledger()[0].clone();
    let key = json!({"fromMe": true, "id": id, "remoteJid": format!("{}@s.whatsapp.net", entry.number)});
    let data =
        json!({"key": key, "message": {"conversation": entry.text}, "messageTimestamp": fleet.clock.now().timestamp()});
    let left = json!({"event": "send.message", "instance": "matriz", "data": data});
    let events = [left, status_event(id, "DELIVERY_ACK"), status_event(id, "READ")];
    for event in &events {
        post_stored(&url, &secret, event).await;
        until_matched(&fleet).await;
    }
    let state = async || {
        let contact_id = contact["contact_id"].as_str().unwrap();
        (erp.status(&queue).await, erp.contacts(&queue).await, erp.contact(contact_id).await)
    };
    let before = state().await;
    assert_eq!((&before.0["sent"], &before.0["delivered"], &before.0["read"]), (&json!(1), &json!(1), &json!(1)));

    fleet.manual_clock.set(fleet.clock.now() + TimeDelta::days(7));
    for event in
        events.iter().rev().chain(&events).chain([&status_event(id, "ERROR"), &status_event(id, "DELIVERY_ACK")])
    {
        post_stored(&url, &secret, event).await;
        post_stored(&url, &secret, event).await;
    }
    until_matched(&fleet).await;
    assert_eq!(state().await, before);
    assert_eq!(fleet.count("select count(*) from evidence").await, 0, "the gateway's own answer needs no other proof");
    fleet.assert_each_left_once(1);
    fleet.end().await;
}

/// Sets the webhook secret of one of the tenant's instances.
pub(super) async fn set_secret(fleet: &Fleet, tenant: &Tenant, n: usize, random: u8) -> String {
    let (secret, hash) = regua_api::keys::secret_with_hash(&[random; 32]);
    regua_tests::logs::register_secret(&secret);
    let mut conn = fleet.database.pool.acquire().await.unwrap();
    let instance = tenant.instances[n];
    regua_store::instances::set_webhook_secret(&mut conn, tenant.id, instance, &hash).await.unwrap();
    secret
}

#[tokio::test(flavor = "multi_thread")]
async fn webhook_of_one_instance_does_not_affect_another() {
    let instances = vec!["matriz".to_owned(), "filial".to_owned()];
    let (fleet, tenant, erp) = Fleet::with_tenant(TenantOptions { instances, ..TenantOptions::default() }).await;
    let other_tenant = TenantOptions { slug: "outra", instances: vec!["sul".to_owned()], ..TenantOptions::default() };
    let other_tenant = fleet.create_tenant(&other_tenant).await;
    let queue = erp.send_accepted("overdue", &batch("lote-a", 1)).await;
    erp.wait_for_status(&queue, "completed").await;
    let id = erp.contacts(&queue).await[0]["message_id"].as_str().unwrap().to_owned();
    let [own, sibling, other] = [
        set_secret(&fleet, &tenant, 0, 1).await,
        set_secret(&fleet, &tenant, 1, 2).await,
        set_secret(&fleet, &other_tenant, 0, 3).await,
    ];
    let url = fleet.webhook_url(&tenant);
    let of_sibling = url.replace(&tenant.instances[0].to_string(), &tenant.instances[1].to_string());
    let read = status_event(&id, "READ");
    // A secret is valid for its own instance only, and not for another tenant's instance.
    let mixed = url.replace(&tenant.id.to_string(), &other_tenant.id.to_string());
    for (url, secret) in [(&url, &sibling), (&url, &other), (&of_sibling, &own), (&mixed, &own), (&mixed, &other)] {
        assert_eq!(post(url, secret, &read).await.0, StatusCode::UNAUTHORIZED);
    }
    // With the right secret the event is stored, and matches no message of that instance.
    post_stored(&of_sibling, &sibling, &read).await;
    post_stored(&fleet.webhook_url(&other_tenant), &other, &read).await;
    fleet.manual_clock.set(fleet.clock.now() + TimeDelta::hours(25));
    until_matched(&fleet).await;
    let status = erp.status(&queue).await;
    assert_eq!((&status["delivered"], &status["read"]), (&json!(0), &json!(0)), "{status:#}");
    post_stored(&url, &own, &read).await;
    erp.wait_until(&queue, "read", |queue| queue["read"] == 1).await;
    until_matched(&fleet).await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_webhook_is_refused_and_not_stored() {
    let (fleet, tenant, _) = fleet().await;
    let secret = set_secret(&fleet, &tenant, 0, 4).await;
    let json = "application/json";
    let long = format!(r#"{{"event":"send.message","data":"{}"}}"#, "x".repeat(1 << 20));
    let bodies = [
        (json, "[".repeat(200_000).into_bytes(), StatusCode::BAD_REQUEST),
        (json, [&br#"{"event":"send.message","data":"#[..], &b"[".repeat(200_000)].concat(), StatusCode::BAD_REQUEST),
        (json, b"{\"event\":\"send.message\",\"data\":\"\xff\"}".to_vec(), StatusCode::BAD_REQUEST),
        (json, br#"{"event":["send.message"]}"#.to_vec(), StatusCode::BAD_REQUEST),
        (json, Vec::new(), StatusCode::BAD_REQUEST),
        (json, long.into_bytes(), StatusCode::PAYLOAD_TOO_LARGE),
        ("text/plain", br#"{"event":"send.message"}"#.to_vec(), StatusCode::UNSUPPORTED_MEDIA_TYPE),
    ];
    for (content_type, body, expected) in bodies {
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        let request = reqwest::Client::new().post(fleet.webhook_url(&tenant)).body(body);
        let request = request.header("content-type", content_type).header("X-Regua-Webhook-Secret", &secret);
        assert_eq!(Client::answer(request).await.status, expected, "{shown}");
    }
    assert_eq!(fleet.count("select count(*) from webhook_events").await, 0);
    fleet.end().await;
}
