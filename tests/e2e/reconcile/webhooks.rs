//! What the gateway tells by webhook: stored at once, matched later, believed whenever it comes.

use regua_sandbox::StatusTimes;
use serde_json::Value;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_proves_what_the_gateways_record_does_not_show() {
    let (fleet, tenant, erp) = fleet().await;
    fleet.subscribe(&tenant, "matriz").await;
    fleet.sandbox.set_faults(vec![unknown(0, true), unknown(1, false), blind()]).unwrap();
    let queue = erp.accepted("notification", &batch("lote-a", 3)).await;
    // The event may come before the outcome or after it; either way the first look knows.
    erp.until_that(&queue, "tried", |queue| queue["pending"] == 0 && queue["sending"] == 0).await;
    fleet.hands.set(fleet.clock.now() + TimeDelta::seconds(16));
    let found = erp.until_that(&queue, "proven", |queue| queue["sent"] == 2).await;
    assert_eq!(found["unconfirmed"], 1, "{found:#}");
    let history = erp.contact(erp.contacts(&queue).await[0]["contact_id"].as_str().unwrap()).await["history"].clone();
    assert_eq!((&history[0]["outcome"], &history[0]["settled_by"]), (&json!("sent"), &json!("webhook")), "{history:#}");
    eventually("all events matched", async || fleet.count("select count(*) from webhook_events").await == 0).await;
    fleet.assert_each_left_once(2);
    fleet.end_unfinished().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_that_comes_after_the_operator_gave_up_is_believed() {
    let (fleet, tenant, erp) = fleet().await;
    let secret = fleet.subscribe(&tenant, "matriz").await;
    fleet.sandbox.set_faults(vec![unknown(0, false), blind()]).unwrap();
    let queue = erp.accepted("overdue", &batch("lote-a", 1)).await;
    erp.until_that(&queue, "unconfirmed", |queue| queue["unconfirmed"] == 1).await;
    let contact = erp.contacts(&queue).await[0].clone();
    let id = contact["contact_id"].as_str().unwrap();
    assert_eq!(erp.verdict(id, "give_up").await.status, StatusCode::OK);
    assert_eq!(erp.status(&queue).await["status"], "failed");

    let reference = contact["reference"].as_str().unwrap();
    let text = format!("Olá Maria, sua fatura espera por você. Ref. {reference}");
    let event = |number: &str, id: &str, text: &str| {
        let key = json!({"fromMe": true, "id": id, "remoteJid": if number.contains('@') { number.to_owned() } else { format!("{number}@s.whatsapp.net") }});
        let data =
            json!({"key": key, "message": {"conversation": text}, "messageTimestamp": fleet.clock.now().timestamp()});
        json!({"event": "send.message", "instance": "matriz", "data": data, "apikey": "token-of-acme-matriz"})
    };
    let stranger = event("5511900000000", "3EB0FF", &text);
    let group = event("120363041234567890@g.us", "3EB0FE", &text);
    let quoted = event(&number("lote-a", 0), "3EB0FD", &format!("Sobre a Ref. {reference}: podemos ajudar?"));
    let proof = event(&number("lote-a", 0), "3EB001", &text);
    for event in [&stranger, &group, &quoted, &proof, &proof] {
        let answer = post(&fleet.webhook_url(&tenant), &secret, event).await;
        assert_eq!((answer.0, &answer.1["stored"]), (StatusCode::OK, &json!(true)), "{answer:?}");
    }
    let proven = erp.until_that(&queue, "proven", |queue| queue["sent"] == 1).await;
    assert_eq!((&proven["status"], &proven["failed"]), (&json!("completed"), &json!(0)), "{proven:#}");
    assert_eq!(erp.contact(id).await["message_id"], "3EB001");
    assert_eq!(
        fleet.count("select count(*) from evidence where source = 'webhook'").await,
        1,
        "doubled, and kept once"
    );
    // It was never in this gateway's ledger: only the books' own sums are held against each other.
    fleet.end_without_the_ledger().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_that_waited_for_days_is_read_before_it_is_thrown_away() {
    let options = FleetOptions { periodic: false, send_timeout: Duration::from_secs(1), ..FleetOptions::default() };
    let (mut fleet, tenant, erp) = Fleet::with(options, TenantOptions::default()).await;
    fleet.subscribe(&tenant, "matriz").await;
    fleet.sandbox.set_faults(vec![unknown(0, true), blind()]).unwrap();
    let queue = erp.accepted("notification", &batch("lote-a", 1)).await;
    erp.until_that(&queue, "unconfirmed", |queue| queue["unconfirmed"] == 1).await;
    eventually("its webhook", async || fleet.count("select count(*) from webhook_events").await == 1).await;
    fleet.hands.set(fleet.clock.now() + TimeDelta::days(3));
    fleet.start_periodic();
    erp.until_that(&queue, "proven", |queue| queue["sent"] == 1).await;
    fleet.assert_each_left_once(1);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn statuses_move_a_sent_contact_on_whenever_they_come() {
    let (fleet, tenant, erp) = fleet().await;
    fleet.subscribe(&tenant, "matriz").await;
    fleet.sandbox.set_statuses(StatusTimes { delivery_ack_ms: Some(0), read_ms: Some(30) });
    let queue = erp.accepted("overdue", &batch("lote-a", 20)).await;
    erp.until(&queue, "completed").await;
    // A status that overtook its send's outcome waits half a minute for it.
    let mut seen = Value::Null;
    eventually("all are read", async || {
        fleet.hands.set(fleet.clock.now() + TimeDelta::seconds(1));
        seen = erp.status(&queue).await;
        seen["read"] == 20 && seen["delivered"] == 20
    })
    .await;
    let contact = &erp.contacts(&queue).await[0];
    assert!(contact["delivered_at"].is_string() && contact["read_at"].is_string(), "{contact:#}");
    eventually("all events matched", async || fleet.count("select count(*) from webhook_events").await == 0).await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_without_its_numbers_secret_is_refused_and_a_useless_one_is_not_kept() {
    let (fleet, tenant, _) = fleet().await;
    let url = fleet.webhook_url(&tenant);
    let event = json!({"event": "send.message", "data": {}});
    assert_eq!(post(&url, "", &event).await.0, StatusCode::UNAUTHORIZED, "it takes no webhooks yet");
    let secret = fleet.subscribe(&tenant, "matriz").await;
    assert_eq!(post(&url, "wrong", &event).await.0, StatusCode::UNAUTHORIZED);
    let nobody = url.replace(&tenant.instances[0].to_string(), "019a9f3c-0000-7000-8000-000000000000");
    let refused = post(&nobody, &secret, &event).await;
    assert_eq!((refused.0, &refused.1["code"]), (StatusCode::UNAUTHORIZED, &json!("webhook_secret_invalid")));
    for malformed in [json!([]), json!({"event": "send.message", "data": {"x": "\u{0}"}})] {
        assert_eq!(post(&url, &secret, &malformed).await.0, StatusCode::BAD_REQUEST);
    }
    assert_eq!(fleet.count("select count(*) from webhook_events").await, 0);
    for (event, stored) in [
        (json!({"event": "connection.update", "data": {"state": "open"}}), false),
        (json!({"event": "send.message"}), true),
        (json!({"event": "messages.update", "data": {"keyId": 5}}), true),
    ] {
        let answer = post(&url, &secret, &event).await;
        assert_eq!((answer.0, &answer.1["stored"]), (StatusCode::OK, &json!(stored)), "{event}");
    }
    eventually("nonsense is forgotten", async || fleet.count("select count(*) from webhook_events").await == 0).await;
    fleet.end().await;
}

async fn post(url: &str, secret: &str, event: &Value) -> (StatusCode, Value) {
    let request = reqwest::Client::new().post(url).header("X-Regua-Webhook-Secret", secret).json(event);
    let answer = Client::answer(request).await;
    (answer.status, answer.body)
}

/// A status of a message, as Evolution posts it.
fn status_of(message_id: &str, status: &str) -> Value {
    let data = json!({"keyId": message_id, "remoteJid": "99887766@lid", "fromMe": true, "status": status});
    json!({"event": "messages.update", "instance": "matriz", "data": data})
}

/// Posts an event that is of a kind that is stored.
async fn told(url: &str, secret: &str, event: &Value) {
    let answer = post(url, secret, event).await;
    assert_eq!((answer.0, &answer.1["stored"]), (StatusCode::OK, &json!(true)), "{answer:?}");
}

async fn until_matched(fleet: &Fleet) {
    eventually("all events matched", async || fleet.count("select count(*) from webhook_events").await == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_webhook_changes_nothing() {
    let (fleet, tenant, erp) = fleet().await;
    let queue = erp.accepted("overdue", &batch("lote-a", 1)).await;
    erp.until(&queue, "completed").await;
    // It is told all by hand: the sandbox posts nothing.
    let secret = set_secret(&fleet, &tenant, 0, 9).await;
    let url = fleet.webhook_url(&tenant);
    let contact = erp.contacts(&queue).await[0].clone();
    let id = contact["message_id"].as_str().unwrap();
    let entry = fleet.sandbox.ledger()[0].clone();
    let key = json!({"fromMe": true, "id": id, "remoteJid": format!("{}@s.whatsapp.net", entry.number)});
    let data =
        json!({"key": key, "message": {"conversation": entry.text}, "messageTimestamp": fleet.clock.now().timestamp()});
    let left = json!({"event": "send.message", "instance": "matriz", "data": data});
    let events = [left, status_of(id, "DELIVERY_ACK"), status_of(id, "READ")];
    for event in &events {
        told(&url, &secret, event).await;
        until_matched(&fleet).await;
    }
    let look = async || {
        let contact_id = contact["contact_id"].as_str().unwrap();
        (erp.status(&queue).await, erp.contacts(&queue).await, erp.contact(contact_id).await)
    };
    let before = look().await;
    assert_eq!((&before.0["sent"], &before.0["delivered"], &before.0["read"]), (&json!(1), &json!(1), &json!(1)));

    fleet.hands.set(fleet.clock.now() + TimeDelta::days(7));
    for event in events.iter().rev().chain(&events).chain([&status_of(id, "ERROR"), &status_of(id, "DELIVERY_ACK")]) {
        told(&url, &secret, event).await;
        told(&url, &secret, event).await;
    }
    until_matched(&fleet).await;
    assert_eq!(look().await, before);
    assert_eq!(fleet.count("select count(*) from evidence").await, 0, "the gateway's own answer needs no other proof");
    fleet.assert_each_left_once(1);
    fleet.end().await;
}

/// Gives a tenant's number a secret of its own.
async fn set_secret(fleet: &Fleet, tenant: &Tenant, number: usize, random: u8) -> String {
    let (secret, hash) = regua_api::keys::webhook_secret(&[random; 32]);
    regua_tests::logs::keep_secret(&secret);
    let mut conn = fleet.database.pool.acquire().await.unwrap();
    let instance = tenant.instances[number];
    regua_store::instances::set_webhook_secret(&mut conn, tenant.id, instance, &hash).await.unwrap();
    secret
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_of_one_number_says_nothing_of_another() {
    let instances = vec!["matriz".to_owned(), "filial".to_owned()];
    let (fleet, tenant, erp) = Fleet::with_tenant(TenantOptions { instances, ..TenantOptions::default() }).await;
    let stranger = TenantOptions { slug: "outra", instances: vec!["sul".to_owned()], ..TenantOptions::default() };
    let stranger = fleet.tenant(&stranger).await;
    let queue = erp.accepted("overdue", &batch("lote-a", 1)).await;
    erp.until(&queue, "completed").await;
    let id = erp.contacts(&queue).await[0]["message_id"].as_str().unwrap().to_owned();
    let [own, sibling, other] = [
        set_secret(&fleet, &tenant, 0, 1).await,
        set_secret(&fleet, &tenant, 1, 2).await,
        set_secret(&fleet, &stranger, 0, 3).await,
    ];
    let url = fleet.webhook_url(&tenant);
    let of_sibling = url.replace(&tenant.instances[0].to_string(), &tenant.instances[1].to_string());
    let read = status_of(&id, "READ");
    // Nobody's secret is good for another number, nor a number's for another tenant's.
    let mixed = url.replace(&tenant.id.to_string(), &stranger.id.to_string());
    for (url, secret) in [(&url, &sibling), (&url, &other), (&of_sibling, &own), (&mixed, &own), (&mixed, &other)] {
        assert_eq!(post(url, secret, &read).await.0, StatusCode::UNAUTHORIZED);
    }
    // With the right one it is taken, and is about nothing that left there.
    told(&of_sibling, &sibling, &read).await;
    told(&fleet.webhook_url(&stranger), &other, &read).await;
    fleet.hands.set(fleet.clock.now() + TimeDelta::hours(25));
    until_matched(&fleet).await;
    let status = erp.status(&queue).await;
    assert_eq!((&status["delivered"], &status["read"]), (&json!(0), &json!(0)), "{status:#}");
    told(&url, &own, &read).await;
    erp.until_that(&queue, "read", |queue| queue["read"] == 1).await;
    until_matched(&fleet).await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_odd_webhook_is_refused_and_never_stored() {
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
