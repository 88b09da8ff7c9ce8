//! Budgets of webhooks: the size of an event, the events that wait, and the requests of a tenant.

use std::time::Duration;

use regua_api::EventAmount;
use regua_tests::{Client, Fleet, Tenant, TenantOptions, eventually};
use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::Executor;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::{list_queues, only_the_api};

/// One number with its webhook secret.
struct Number {
    url: String,
    secret: String,
}

impl Number {
    async fn of(fleet: &Fleet, tenant: &Tenant, n: usize, random: u8) -> Self {
        let (secret, hash) = regua_api::keys::secret_with_hash(&[random; 32]);
        regua_tests::logs::register_secret(&secret);
        let (mut conn, instance) = (fleet.database.pool.acquire().await.unwrap(), tenant.instances[n]);
        regua_store::instances::set_webhook_secret(&mut conn, tenant.id, instance, &hash).await.unwrap();
        Self { url: format!("{}/webhooks/evolution/{}/{instance}", fleet.api, tenant.id), secret }
    }

    async fn post_bytes(&self, body: Vec<u8>) -> regua_tests::Answer {
        let request = reqwest::Client::new().post(&self.url).header("X-Regua-Webhook-Secret", &self.secret);
        Client::answer(request.header("content-type", "application/json").body(body)).await
    }

    async fn post(&self, event: &Value) -> u16 {
        self.post_bytes(event.to_string().into_bytes()).await.status.as_u16()
    }

    /// Posts a number of events one after the other; returns their statuses.
    async fn post_each(&self, events: impl Iterator<Item = Value>) -> Vec<u16> {
        let mut statuses = Vec::new();
        for event in events {
            statuses.push(self.post(&event).await);
        }
        statuses
    }
}

fn status(n: usize) -> Value {
    let data = json!({"keyId": format!("status {n:03}"), "remoteJid": "1@lid", "fromMe": true, "status": "READ"});
    json!({"event": "messages.update", "data": data})
}

/// A report that a message left, with a text of this many characters.
fn proof(n: usize, characters: usize) -> Value {
    let key = json!({"id": format!("proof {n:03}"), "remoteJid": "1@lid", "fromMe": true});
    json!({"event": "send.message", "data": {"key": key, "message": {"conversation": "x".repeat(characters)}}})
}

/// A fleet whose numbers may have `of_number` events waiting, and its tenant `of_tenant`; the tenant has two numbers.
async fn fleet(of_number: EventAmount, of_tenant: EventAmount) -> (Fleet, Tenant, [Number; 2]) {
    let options = only_the_api(|api| {
        (api.limits.events_of_number, api.limits.events_of_tenant) = (of_number, of_tenant);
    });
    let instances = vec!["matriz".to_owned(), "filial".to_owned()];
    let (fleet, tenant, _) = Fleet::with(options, TenantOptions { instances, ..TenantOptions::default() }).await;
    let numbers = [Number::of(&fleet, &tenant, 0, 1).await, Number::of(&fleet, &tenant, 1, 2).await];
    (fleet, tenant, numbers)
}

const fn events(events: u64) -> EventAmount {
    EventAmount { events, bytes: 1 << 30 }
}

async fn waiting(fleet: &Fleet, condition: &str) -> i64 {
    fleet.count(&format!("select count(*) from webhook_events where {condition}")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn stored_webhook_holds_only_what_its_reader_needs() {
    let (fleet, _, [number, _]) = fleet(events(100), events(100)).await;
    let filled = |length: usize| {
        let mut body =
            br#"{"event":"messages.update","apikey":"x","data":{"keyId":"3EB0","fromMe":true,"status":"READ","x":[0"#
                .to_vec();
        while body.len() + 16 < length {
            body.extend_from_slice(br#",{"a":0}"#);
        }
        body.extend_from_slice(b"]}}");
        body.resize(length, b' ');
        body
    };
    let answer = number.post_bytes(filled(1 << 20)).await;
    assert_eq!((answer.status, &answer.body["stored"]), (StatusCode::OK, &json!(true)), "{:#}", answer.body);
    // The answer arrives although the body is longer than the limit.
    let answer = number.post_bytes(filled((1 << 20) + 1)).await;
    assert_eq!((answer.status, &answer.body["code"]), (StatusCode::PAYLOAD_TOO_LARGE, &json!("body_too_large")));
    let stored = r#"data = '{"keyId": "3EB0", "fromMe": true, "status": "READ"}' and bytes < 100"#;
    assert_eq!((waiting(&fleet, "true").await, waiting(&fleet, stored).await), (1, 1));
    assert_eq!(number.post(&proof(1, 70_000)).await, 200);
    let cut = "length(data -> 'message' ->> 'conversation') = 65536 and data -> 'textCut' = 'true'";
    assert_eq!(waiting(&fleet, cut).await, 1);
    fleet.end_unfinished().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn oldest_statuses_are_deleted_for_new_events_and_proofs_never() {
    let (fleet, _, [number, sibling]) = fleet(events(20), events(200)).await;
    assert_eq!(number.post_each((0..5).map(|n| proof(n, 10))).await, [200; 5]);
    assert_eq!(number.post_each((0..60).map(status)).await, [200; 60]);
    assert_eq!(waiting(&fleet, "proves_sending").await, 5);
    let all = waiting(&fleet, "true").await;
    assert!((15..=20).contains(&all), "{all} events wait");
    assert_eq!(waiting(&fleet, "data ->> 'keyId' = 'status 059'").await, 1, "the newest status waits");
    assert_eq!(waiting(&fleet, "data ->> 'keyId' < 'status 040'").await, 0, "the oldest were deleted");
    let dropped = i64::try_from(fleet.metrics.api.webhook_events_dropped.get()).unwrap();
    assert_eq!(dropped, 65 - all);

    assert_eq!(number.post_each((5..20).map(|n| proof(n, 10))).await, [200; 15]);
    assert_eq!((waiting(&fleet, "proves_sending").await, waiting(&fleet, "true").await), (20, 20));
    let refused = number.post_bytes(proof(20, 10).to_string().into_bytes()).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE, "{:#}", refused.body);
    assert_eq!(refused.headers["retry-after"], "1");
    assert_eq!(number.post(&status(60)).await, 503);
    assert_eq!(number.post(&json!({"event": "connection.update"})).await, 200, "an event that is not stored");
    assert_eq!(sibling.post(&proof(0, 10)).await, 200, "another number has its own budget");
    let refusals = fleet.metrics.api.requests_refused.with_label_values(&["waiting_events"]).get();
    assert_eq!(refusals, 2);
    fleet.database.pool.execute("delete from webhook_events").await.unwrap();
    eventually("the budget to be free again", async || number.post(&status(61)).await == 200).await;
    fleet.end_unfinished().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_events_of_a_tenant_and_their_bytes_have_budgets() {
    let number = EventAmount { events: 100, bytes: 20_000 };
    let (fleet, _, [first, second]) = fleet(number, EventAmount { events: 30, bytes: 35_000 }).await;
    let other = TenantOptions { slug: "outra", instances: vec!["sul".to_owned()], ..TenantOptions::default() };
    let other = Number::of(&fleet, &fleet.create_tenant(&other).await, 0, 3).await;
    // The bytes of a number: two texts of 9,000 fit, and no third.
    assert_eq!(first.post_each((0..3).map(|n| proof(n, 9000))).await, [200, 200, 503]);
    // The bytes of the tenant: a third text fits in the other number, and no fourth.
    assert_eq!(second.post_each((3..5).map(|n| proof(n, 9000))).await, [200, 503]);
    // The events of the tenant.
    assert_eq!(second.post_each((0..40).map(status)).await, [200; 40]);
    let all = waiting(&fleet, "true").await;
    assert!((20..=30).contains(&all), "{all} events wait");
    assert_eq!(waiting(&fleet, "proves_sending").await, 3);
    assert_eq!(other.post(&proof(0, 9000)).await, 200, "another tenant has its own budget");
    fleet.end_unfinished().await;
}

/// The bound that docs/limits.md states for several processes.
#[tokio::test(flavor = "multi_thread")]
async fn second_process_exceeds_the_budget_by_a_twentieth_at_most() {
    let (mut fleet, tenant, [number, _]) = fleet(events(40), events(400)).await;
    let metrics = regua_api::ApiMetrics::new(&regua_boot::Registry::default()).unwrap();
    let api = fleet.start_another_api(metrics).await;
    let url = format!("{api}/webhooks/evolution/{}/{}", tenant.id, tenant.instances[0]);
    let second = Number { url, secret: number.secret.clone() };
    for n in 0..60 {
        for one in [&number, &second] {
            one.post(&proof(n, 10)).await;
        }
    }
    let all = waiting(&fleet, "true").await;
    assert!((38..=43).contains(&all), "{all} events wait");
    fleet.end_unfinished().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_of_a_suspended_tenant_are_refused_and_not_stored() {
    let (fleet, tenant, [number, _]) = fleet(events(100), events(100)).await;
    let other = TenantOptions { slug: "outra", instances: vec!["sul".to_owned()], ..TenantOptions::default() };
    let other = Number::of(&fleet, &fleet.create_tenant(&other).await, 0, 3).await;
    assert_eq!((number.post(&status(0)).await, other.post(&status(0)).await), (200, 200));
    let set = async |status: &str| {
        let statement = format!("update tenants set status = '{status}' where tenant_id = '{}'", tenant.id);
        fleet.database.pool.execute(sqlx::AssertSqlSafe(statement)).await.unwrap();
    };
    set("suspended").await;
    eventually("the suspension to be seen", async || number.post(&status(1)).await == 403).await;
    let before = waiting(&fleet, "true").await;
    let look_ups = fleet.metrics.api.key_look_ups.get();
    assert_eq!(number.post_each((2..12).map(status)).await, [403; 10]);
    assert!(fleet.metrics.api.key_look_ups.get() <= look_ups + 3, "the suspension is cached");
    let refused = number.post_bytes(status(12).to_string().into_bytes()).await;
    assert_eq!(refused.body["code"], "forbidden", "{:#}", refused.body);
    let wrong = Number { url: number.url.clone(), secret: "wrong".to_owned() };
    assert_eq!(wrong.post(&status(13)).await, 401, "only the right secret learns of the suspension");
    assert_eq!(other.post(&status(1)).await, 200);
    assert_eq!(waiting(&fleet, "true").await, before + 1);
    set("active").await;
    eventually("the end of the suspension to be seen", async || number.post(&status(14)).await == 200).await;
    fleet.end_unfinished().await;
}

/// Sends the head of a webhook and the first byte of its body.
async fn begin_post(fleet: &Fleet, number: &Number) -> TcpStream {
    let mut socket = TcpStream::connect(fleet.api.trim_start_matches("http://")).await.unwrap();
    let (path, secret) = (number.url.replace(&fleet.api, ""), &number.secret);
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: a\r\nX-Regua-Webhook-Secret: {secret}\r\n\
         Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{{"
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    socket
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_webhooks_exhaust_the_budget_of_their_tenant_only() {
    let options = only_the_api(|api| {
        api.limits.concurrent_requests = 16;
        api.body_timeout = Duration::from_secs(20);
    });
    let (fleet, tenant, client) = Fleet::with(options, TenantOptions::default()).await;
    let number = Number::of(&fleet, &tenant, 0, 1).await;
    let other = TenantOptions { slug: "outra", instances: vec!["sul".to_owned()], ..TenantOptions::default() };
    let other = Number::of(&fleet, &fleet.create_tenant(&other).await, 0, 3).await;
    let (mut slow, mut refused) = (Vec::new(), None);
    // One after the other: many at once would use up the budget of all tenants for a moment.
    eventually("the tenant's budget to be used up", async || {
        slow.push(begin_post(&fleet, &number).await);
        let answer = number.post_bytes(status(0).to_string().into_bytes()).await;
        (answer.status == StatusCode::SERVICE_UNAVAILABLE).then(|| refused = Some(answer)).is_some()
    })
    .await;
    assert_eq!(refused.unwrap().headers["retry-after"], "1", "Evolution API does not retry 429 of a known event");
    assert_eq!(other.post_each((0..5).map(status)).await, [200; 5]);
    assert!(fleet.metrics.api.requests_refused.with_label_values(&["tenants_receiving"]).get() > 0);
    assert_eq!(list_queues(&client).await.status, StatusCode::OK, "slow bodies leave the tenant its other requests");
    drop(slow);
    eventually("the permits to be free again", async || number.post(&status(1)).await == 200).await;
    fleet.end_unfinished().await;
}
