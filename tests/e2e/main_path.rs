//! The main path: an ERP posts a batch, every contact gets one message, and the ERP reads the state of every contact.

use chrono::TimeDelta;
use regua_tests::{Client, Fleet, FleetOptions, TenantOptions, batch, monday_ten_o_clock, number};
use reqwest::StatusCode;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn batch_is_sent_once_to_every_contact_and_status_reports_it() {
    let (fleet, _, erp) = Fleet::with_tenant(TenantOptions::default()).await;
    assert_main_path(&fleet, &erp).await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn embedded_broker_sends_a_batch_as_rabbitmq_does() {
    let options = FleetOptions { amqp_url: None, ..FleetOptions::default() };
    let (fleet, _, erp) = Fleet::with(options, TenantOptions::default()).await;
    assert_main_path(&fleet, &erp).await;
    fleet.end().await;
}

async fn assert_main_path(fleet: &Fleet, erp: &Client) {
    let mut body = batch("lote-a", 200);
    body["name"] = json!("Cobrança novembro");
    body["contacts"][7]["metadata"] = json!({"titulo": "123/1"});
    let answer = erp.send("overdue", &body).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{:#}", answer.body);
    assert_eq!(answer.body["accepted"], 200);
    assert_eq!(answer.body["rejected"], json!([]));
    assert_eq!(answer.body["replayed"], false);
    let queue = answer.body["queue_id"].as_str().unwrap();
    assert!(answer.body["status_url"].as_str().unwrap().contains(queue));

    let done = erp.wait_for_status(queue, "completed").await;
    assert_eq!((&done["sent"], &done["pending"], &done["failed"]), (&json!(200), &json!(0), &json!(0)));
    assert_eq!((&done["type"], &done["external_id"]), (&json!("overdue"), &json!("lote-a")));
    assert_eq!(done["name"], "Cobrança novembro");
    assert_eq!(done["progress"].as_f64(), Some(1.0));
    assert!(done["finished_at"].is_string() && done["eta"].is_null());

    let contacts = erp.contacts(queue).await;
    assert_eq!(contacts.len(), 200);
    assert_eq!(contacts[7]["metadata"], json!({"titulo": "123/1"}));
    assert_eq!(contacts[7]["external_id"], "lote-a-7");
    for contact in &contacts {
        assert_eq!(contact["status"], "sent");
        assert_eq!(contact["attempts"], 1);
        assert!(contact["message_id"].is_string() && contact["sent_at"].is_string());
    }
    fleet.assert_each_left_once(200);
    let text = &fleet.sandbox.ledger()[0].text;
    assert!(text.starts_with("Olá Maria, sua fatura espera por você. Ref. "), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn replayed_batch_is_answered_and_not_sent_again() {
    let (fleet, _, erp) = Fleet::with_tenant(TenantOptions::default()).await;
    let mut body = batch("lote-b", 3);
    body["contacts"][1]["phone"] = json!("123");
    let first = erp.send("overdue", &body).await;
    assert_eq!(first.status, StatusCode::ACCEPTED, "{:#}", first.body);
    let queue = first.body["queue_id"].as_str().unwrap();
    erp.wait_for_status(queue, "completed").await;

    let again = erp.send("overdue", &body).await;
    assert_eq!(again.status, StatusCode::OK, "{:#}", again.body);
    assert_eq!(again.body["replayed"], true);
    for field in ["campaign_id", "queue_id", "accepted", "rejected", "type"] {
        assert_eq!(again.body[field], first.body[field], "{field}");
    }

    body["contacts"][0]["amount"] = json!("151.00");
    let other = erp.send("overdue", &body).await;
    assert_eq!((other.status, other.body["code"].as_str()), (StatusCode::CONFLICT, Some("batch_conflict")));
    let other_type = erp.send("upcoming", &batch("lote-b", 3)).await;
    assert_eq!(other_type.status, StatusCode::CONFLICT);
    fleet.assert_each_left_once(2);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_equal_posts_create_one_batch() {
    let (fleet, _, erp) = Fleet::with_tenant(TenantOptions::default()).await;
    let body = batch("lote-c", 50);
    let answers = futures_util::future::join_all((0..6).map(|_| erp.send("overdue", &body))).await;
    let accepted = answers.iter().filter(|answer| answer.status == StatusCode::ACCEPTED).count();
    let replayed = answers.iter().filter(|answer| answer.body["replayed"] == true).count();
    assert_eq!((accepted, replayed), (1, 5), "{answers:#?}");
    erp.wait_for_status(answers[0].body["queue_id"].as_str().unwrap(), "completed").await;
    fleet.assert_each_left_once(50);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dry_run_renders_every_text_and_stores_nothing() {
    let (fleet, _, erp) = Fleet::with_tenant(TenantOptions { keeps_hours: true, ..TenantOptions::default() }).await;
    let mut body = batch("lote-d", 3);
    body["dry_run"] = json!(true);
    let answer = erp.send("overdue", &body).await;
    assert_eq!(answer.status, StatusCode::OK, "{:#}", answer.body);
    let shown = answer.body["contacts"].as_array().unwrap();
    assert_eq!(shown.len(), 3);
    assert!(shown[0]["text"].as_str().unwrap().starts_with("Olá Maria"));
    assert_eq!(shown[0]["variation"], 1);
    assert!(shown[0]["would_send_at"].is_string());
    for table in ["select count(*) from campaigns", "select count(*) from contacts", "select count(*) from doorbells"] {
        assert_eq!(fleet.count(table).await, 0, "{table}");
    }
    assert!(fleet.sandbox.ledger().is_empty());
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scheduled_batch_waits_for_its_time() {
    let (fleet, _, erp) = Fleet::with_tenant(TenantOptions::default()).await;
    let mut body = batch("lote-e", 5);
    body["scheduled_for"] = json!("2026-11-24T09:00:00-03:00");
    let queue = erp.send_accepted("notification", &body).await;
    assert_eq!(erp.status(&queue).await["status"], "scheduled");
    fleet.manual_clock.set("2026-11-24T11:59:00Z".parse().unwrap());
    // Another batch completes meanwhile, so the fleet has passed the scheduled batch over.
    let other = erp.send_accepted("notification", &batch("lote-f", 1)).await;
    erp.wait_for_status(&other, "completed").await;
    assert_eq!(erp.status(&queue).await["status"], "scheduled");
    fleet.manual_clock.set("2026-11-24T12:00:01Z".parse().unwrap());
    erp.wait_for_status(&queue, "completed").await;
    fleet.assert_each_left_once(6);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn urgent_batch_goes_first_without_starving_the_other() {
    let (mut fleet, _, erp) =
        Fleet::with(FleetOptions { workers: 0, ..FleetOptions::default() }, TenantOptions::default()).await;
    let calm = erp.send_accepted("notification", &batch("lote-g", 40)).await;
    let urgent = erp.send_accepted("overdue", &batch("lote-h", 200)).await;
    fleet.start_worker();
    erp.wait_for_status(&calm, "completed").await;
    erp.wait_for_status(&urgent, "completed").await;
    let order: Vec<_> = fleet.sandbox.ledger().iter().map(|entry| entry.number.clone()).collect();
    let is_calm = |sent: &String| sent.starts_with(&number("lote-g", 0)[..7]);
    let calm_in_first_hundred = order[..100].iter().filter(|number| is_calm(number)).count();
    assert!((5..=20).contains(&calm_in_first_hundred), "about a tenth, not {calm_in_first_hundred} of 100");
    fleet.assert_each_left_once(240);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_and_contacts_are_listed_in_pages() {
    let (fleet, _, erp) = Fleet::with_tenant(TenantOptions::default()).await;
    let mut ids = Vec::new();
    for (message_type, name) in [("overdue", "lote-i"), ("upcoming", "lote-j"), ("notification", "lote-k")] {
        ids.push(erp.send_accepted(message_type, &batch(name, 5)).await);
        fleet.manual_clock.set(fleet.clock.now() + TimeDelta::seconds(1));
    }
    for id in &ids {
        erp.wait_for_status(id, "completed").await;
    }
    let list = async |query: &str| {
        let answer = erp.call(reqwest::Method::GET, &format!("/api/v1/billing/queues?{query}"), None).await;
        assert_eq!(answer.status, StatusCode::OK, "{:#}", answer.body);
        answer.body
    };
    let first = list("limit=2").await;
    assert_eq!(first["items"][0]["queue_id"], json!(ids[2]));
    let second = list(&format!("limit=2&cursor={}", first["next_cursor"].as_str().unwrap())).await;
    assert_eq!(second["items"].as_array().unwrap().len(), 1);
    assert_eq!(second["items"][0]["queue_id"], json!(ids[0]));
    assert!(second["next_cursor"].is_null());
    assert_eq!(list("type=upcoming").await["items"][0]["queue_id"], json!(ids[1]));
    assert_eq!(list("status=running").await["items"], json!([]));
    let path = format!("/api/v1/billing/queue/{}/contacts?limit=3&status=sent", ids[0]);
    let page = erp.call(reqwest::Method::GET, &path, None).await.body;
    assert_eq!(page["items"].as_array().unwrap().len(), 3);
    let path = format!("{path}&cursor={}", page["next_cursor"].as_str().unwrap());
    let rest = erp.call(reqwest::Method::GET, &path, None).await.body;
    assert_eq!(rest["items"].as_array().unwrap().len(), 2);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn contact_that_is_not_on_whatsapp_fails_permanently_with_reason() {
    let (fleet, _, erp) = Fleet::with_tenant(TenantOptions::default()).await;
    let mut numbers = regua_sandbox::Numbers::default();
    numbers.not_on_whatsapp.insert(number("lote-l", 1));
    fleet.sandbox.set_numbers(numbers);
    let queue = erp.send_accepted("overdue", &batch("lote-l", 3)).await;
    let done = erp.wait_for_status(&queue, "completed").await;
    assert_eq!((&done["sent"], &done["failed"]), (&json!(2), &json!(1)));
    let contacts = erp.contacts(&queue).await;
    assert_eq!(contacts[1]["status"], "failed");
    assert_eq!(contacts[1]["reason"], "number_not_on_whatsapp");
    assert_eq!(contacts[1]["attempts"], 1);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_required_by_the_seed_have_their_names_and_labels() {
    let (fleet, tenant, erp) = Fleet::with_tenant(TenantOptions::default()).await;
    let queue = erp.send_accepted("overdue", &batch("lote-m", 4)).await;
    erp.wait_for_status(&queue, "completed").await;
    let tomorrow = (monday_ten_o_clock() + TimeDelta::days(1)).to_rfc3339();
    let mut body = batch("lote-n", 1);
    body["scheduled_for"] = json!(tomorrow);
    let later = erp.send_accepted("overdue", &body).await;
    let text = async || {
        let request = erp.request(reqwest::Method::GET, "/metrics");
        request.send().await.unwrap().text().await.unwrap()
    };
    let sent = format!(
        "billing_messages_sent_total{{status=\"sent\",template_type=\"overdue\",tenant_id=\"{}\"}} 4",
        tenant.id
    );
    let took =
        format!("billing_send_duration_seconds_count{{template_type=\"overdue\",tenant_id=\"{}\"}} 4", tenant.id);
    let active = format!("billing_active_queues{{status=\"scheduled\",tenant_id=\"{}\"}} 1", tenant.id);
    regua_tests::eventually("the three metrics", async || {
        let text = text().await;
        [&sent, &took, &active].iter().all(|line| text.contains(line.as_str()))
    })
    .await;
    assert_eq!(erp.control(&later, "cancel").await.status, StatusCode::OK);
    fleet.end().await;
}
