//! One debtor's data: shown whole, erased without a trace, kept no longer than the tenant says; and what proves that messages were
//! sent outlives it.

mod inventory;
mod retention;

use regua_domain::UserId;
use regua_sandbox::{Effect, Fault};
use regua_store::users::{self, NewUser};
use regua_tests::{Answer, Client, Fleet, FleetOptions, Tenant, TenantOptions, batch, contact, eventually};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor, Row};

const PASSWORD: &str = "senha que ninguém adivinha 47";
const NAME: &str = "Quirina Souto Bezerra";
const PHONE: &str = "+5585987654321";
const CUSTOMER: &str = "cliente-4711-xyz";
/// What must stand nowhere after an erasure. Her first name is in the text of her message.
const TRACES: [&str; 7] =
    ["Quirina", "Souto", "5585987654321", "85987654321", "558587654321", "cliente-4711-xyz", "boleto-da-quirina"];

/// An owner of a tenant who came in.
struct Owner {
    api: Client,
    token: String,
}

impl Owner {
    async fn of(fleet: &Fleet, tenant: &Tenant, slug: &str, role: &str) -> Self {
        let (now, email) = (fleet.clock.now(), format!("{role}@{slug}.example"));
        let (invitation, hash) = regua_api::keys::webhook_secret(&[11; 32]);
        let new = NewUser {
            tenant_id: tenant.id,
            user_id: UserId::new(now),
            email: &email,
            name: "Ana",
            role,
            invitation_hash: &hash,
            invitation_expires_at: now + chrono::TimeDelta::days(1),
        };
        let mut transaction = fleet.database.pool.begin().await.unwrap();
        assert!(users::create(&mut transaction, &new, now).await.unwrap());
        transaction.commit().await.unwrap();
        let api = Client::new(&fleet.api, "");
        let body = json!({"tenant": slug, "email": email, "invitation": invitation, "password": PASSWORD});
        let accepted = api.call(Method::POST, "/api/v1/auth/invitation", Some(&body)).await;
        assert_eq!(accepted.status, StatusCode::NO_CONTENT, "{:#}", accepted.body);
        let mut owner = Self { api, token: String::new() };
        let body = json!({"tenant": slug, "email": email, "password": PASSWORD});
        let came_in = owner.api.call(Method::POST, "/api/v1/auth/login", Some(&body)).await;
        came_in.body["access_token"]
            .as_str()
            .unwrap_or_else(|| panic!("{:#}", came_in.body))
            .clone_into(&mut owner.token);
        owner
    }

    /// A login does not last for ever.
    async fn login_again(&self, slug: &str) -> String {
        let body = json!({"tenant": slug, "email": format!("owner@{slug}.example"), "password": PASSWORD});
        let came_in = self.api.call(Method::POST, "/api/v1/auth/login", Some(&body)).await;
        came_in.body["access_token"].as_str().unwrap_or_else(|| panic!("{:#}", came_in.body)).to_owned()
    }

    async fn call(&self, method: Method, path: &str, body: &Value) -> Answer {
        let request = self.api.request(method, &format!("/api/v1/admin{path}")).bearer_auth(&self.token).json(body);
        Client::answer(request).await
    }

    async fn export(&self, who: &Value) -> Value {
        let answer = self.call(Method::POST, "/debtors/export", who).await;
        assert_eq!(answer.status, StatusCode::OK, "{:#}", answer.body);
        answer.body
    }

    async fn erase(&self, who: &Value) -> Value {
        let answer = self.call(Method::POST, "/debtors/erase", who).await;
        assert_eq!(answer.status, StatusCode::OK, "{:#}", answer.body);
        answer.body
    }
}

/// A batch of so many, of whom the first is she; her number is written as an ERP may.
fn with_her(external_id: &str, contacts: usize, phone: &str) -> Value {
    let mut batch = batch(external_id, contacts);
    let mut her = contact(external_id, 0);
    her["name"] = json!(NAME);
    her["phone"] = json!(phone);
    her["external_id"] = json!(CUSTOMER);
    her["amount"] = json!("7654.32");
    her["variables"] = json!({"link": "https://acme.example/boleto-da-quirina"});
    her["metadata"] = json!({"obs": "ligar para Quirina"});
    batch["contacts"][0] = her;
    batch["metadata"] = json!({"cliente": CUSTOMER, "nota": {"tel": "(85) 98765-4321"}, "loja": "Centro"});
    batch["name"] = json!(format!("Cobrança {NAME}"));
    batch
}

/// A batch whose second contact is refused, and is hers.
fn refusing_her(external_id: &str) -> Value {
    let mut batch = batch(external_id, 2);
    batch["contacts"][1] = json!({"external_id": CUSTOMER, "name": NAME, "phone": "85 9876"});
    batch
}

/// Every row of every table, as text; with a condition on each.
async fn dump(fleet: &Fleet, condition: &str) -> Vec<String> {
    let pool = &fleet.database.pool;
    let tables =
        "select relname::text from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' order by 1";
    let tables: Vec<String> = pool.fetch_all(tables).await.unwrap().iter().map(|row| row.get(0)).collect();
    assert!(tables.len() > 20, "{tables:?}");
    let mut rows = Vec::new();
    for table in tables.iter().filter(|table| *table != "_sqlx_migrations" && *table != "workers") {
        let query = format!("select '{table} ' || to_jsonb(t)::text from {table} t where {condition} order by 1");
        rows.extend(pool.fetch_all(AssertSqlSafe(query)).await.unwrap().iter().map(|row| row.get::<String, _>(0)));
    }
    rows
}

async fn assert_no_trace(fleet: &Fleet, tenant: &Tenant) {
    let rows = dump(fleet, &format!("tenant_id = '{}'", tenant.id)).await;
    for row in &rows {
        let lower = row.to_lowercase();
        let found: Vec<_> = TRACES.iter().filter(|trace| lower.contains(&trace.to_lowercase())).collect();
        assert!(found.is_empty(), "{found:?} in {row}");
    }
    assert_eq!(
        fleet.count("select count(*) from contacts where amount_cents = 765432 and erased_at is not null").await,
        0
    );
}

/// A fleet whose periodic does not run, so that webhooks wait.
async fn without_periodic() -> (Fleet, Tenant, Client) {
    let options = FleetOptions { periodic: false, ..FleetOptions::default() };
    Fleet::with(options, TenantOptions::default()).await
}

async fn other_tenant(fleet: &Fleet) -> (Tenant, Client) {
    let options = TenantOptions { slug: "outra", instances: vec!["filial".to_owned()], ..TenantOptions::default() };
    let other = fleet.tenant(&options).await;
    let erp = Client::new(&fleet.api, &other.key);
    (other, erp)
}

/// A webhook that waits to be matched: what the gateway tells of a message to this number.
async fn store_webhook(fleet: &Fleet, tenant: &Tenant, digits: &str) {
    let data = json!({"key": {"id": "3EB0AA", "remoteJid": format!("{digits}@s.whatsapp.net")}, "message": {"conversation": "x"}});
    let mut transaction = fleet.database.pool.begin().await.unwrap();
    let now = fleet.clock.now();
    regua_store::webhook_events::insert(&mut transaction, tenant.id, tenant.instances[0], "send.message", &data, now)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_shows_all_of_one_debtor_at_this_tenant_and_nothing_else() {
    let (fleet, acme, erp) = without_periodic().await;
    let (other, their) = other_tenant(&fleet).await;
    for (erp, name) in [(&erp, "lote-a"), (&erp, "lote-b"), (&their, "lote-a")] {
        // With and without the ninth digit: she is the same.
        let phone = if name == "lote-a" { "(85) 98765-4321" } else { "85 8765-4321" };
        let queue = erp.accepted("overdue", &with_her(name, 3, phone)).await;
        erp.until(&queue, "completed").await;
    }
    erp.accepted("notification", &refusing_her("lote-c")).await;
    store_webhook(&fleet, &acme, "558587654321").await;
    store_webhook(&fleet, &acme, "5585987654322").await;
    let owner = Owner::of(&fleet, &acme, "acme", "owner").await;
    for who in [json!({"phone": "85 98765-4321"}), json!({"phone": "+558587654321"}), json!({"external_id": CUSTOMER})]
    {
        let found = owner.export(&who).await;
        let contacts = found["contacts"].as_array().unwrap();
        assert_eq!((contacts.len(), &found["next_cursor"]), (2, &Value::Null), "{found:#}");
        for contact in contacts {
            assert_eq!((&contact["name"], &contact["phone"]), (&json!(NAME), &json!(PHONE)), "{contact:#}");
            assert_eq!(contact["amount_cents"], 765_432);
            assert!(contact["text"].as_str().unwrap().contains("Quirina"), "{contact:#}");
            assert_eq!(contact["variables"]["link"], "https://acme.example/boleto-da-quirina");
            assert_eq!((&contact["history"][0]["outcome"], &contact["status"]), (&json!("sent"), &json!("sent")));
            assert!(contact["campaign"]["external_id"].as_str().unwrap().starts_with("lote-"), "{contact:#}");
        }
        assert_eq!(found["remarks"].as_array().unwrap().len(), 1, "{found:#}");
        assert_eq!(found["remarks"][0]["remark"]["code"], "too_short");
        assert_eq!(found["webhooks"].as_array().unwrap().len(), 1, "{found:#}");
        assert!(!found.to_string().contains("Maria da Silva"), "nobody else is in it");
    }
    let theirs = Owner::of(&fleet, &other, "outra", "owner").await.export(&json!({"phone": PHONE})).await;
    assert_eq!(theirs["contacts"].as_array().unwrap().len(), 1);
    let nobody = owner.export(&json!({"phone": "85 98765-4320"})).await;
    assert_eq!((&nobody["contacts"], &nobody["webhooks"]), (&json!([]), &json!([])));

    let noted = owner.call(Method::GET, "/audit?action=debtor.exported", &json!({})).await.body;
    assert_eq!(noted["items"][3]["after"]["contacts"], 2, "{noted:#}");
    assert!(TRACES.iter().all(|trace| !noted.to_string().contains(trace)), "{noted:#}");
    fleet.end_unfinished().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_leaves_no_trace_of_the_person_and_all_of_the_proof() {
    let (fleet, acme, erp) = without_periodic().await;
    let (other, their) = other_tenant(&fleet).await;
    let body = with_her("lote-a", 3, PHONE);
    let queue = erp.accepted("overdue", &body).await;
    let before = erp.until(&queue, "completed").await;
    let refused = erp.accepted("notification", &refusing_her("lote-c")).await;
    erp.until(&refused, "completed").await;
    let theirs = their.accepted("overdue", &with_her("lote-a", 2, PHONE)).await;
    their.until(&theirs, "completed").await;
    fleet.until_lanes_are_free().await;
    store_webhook(&fleet, &acme, "558587654321").await;
    let proof = erp.contacts(&queue).await[0].clone();
    let owner = Owner::of(&fleet, &acme, "acme", "owner").await;
    let at_others = dump(&fleet, &format!("tenant_id = '{}'", other.id)).await;
    let (others, neighbours) = (erp.contacts(&queue).await[1..].to_vec(), erp.contacts(&refused).await);

    let done = owner.erase(&json!({"phone": "(85) 8765-4321", "reason": "requested"})).await;
    let expected = json!({"erased": 1, "cancelled": 0, "being_sent": 0, "erased_before": 0, "next_cursor": null});
    assert_eq!(done, expected);
    assert_no_trace(&fleet, &acme).await;

    let contact = erp.contact(proof["contact_id"].as_str().unwrap()).await;
    for kept in ["status", "message_id", "attempts", "sent_at", "reference", "variation", "delivered_at"] {
        assert_eq!(contact[kept], proof[kept], "{kept}");
    }
    assert_eq!(
        (&contact["history"][0]["outcome"], &contact["status"]),
        (&json!("sent"), &json!("sent")),
        "{contact:#}"
    );
    assert!(contact["erased_at"].is_string() && contact["phone"] == "" && contact["external_id"].is_null());
    assert_eq!(erp.contacts(&queue).await[1..], others, "nobody else's");
    assert_eq!(erp.contacts(&refused).await, neighbours);
    let after = erp.status(&queue).await;
    for count in ["total", "sent", "status"] {
        assert_eq!(after[count], before[count], "{count}");
    }
    let metadata =
        fleet.count("select count(*) from campaigns where external_id = 'lote-a' and metadata->>'loja' = 'Centro'");
    assert_eq!(metadata.await, 2, "what tells of nobody stays");
    assert_eq!(dump(&fleet, &format!("tenant_id = '{}'", other.id)).await, at_others, "another tenant's");

    // The same request is answered again, the batch is still known, and the proof is found by the number alone.
    for who in [json!({"phone": PHONE}), json!({"external_id": CUSTOMER})] {
        let again = owner.erase(&who).await;
        assert_eq!((&again["erased"], &again["erased_before"]), (&json!(0), &json!(1)), "{again:#}");
        let found = owner.export(&who).await;
        assert_eq!(found["contacts"][0]["message_id"], proof["message_id"], "{found:#}");
        assert_eq!((&found["remarks"], &found["webhooks"]), (&json!([]), &json!([])));
    }
    let replayed = erp.send("overdue", &body).await;
    assert_eq!((replayed.status, &replayed.body["replayed"]), (StatusCode::OK, &json!(true)));
    let remarks = erp.send("notification", &refusing_her("lote-c")).await.body["rejected"].clone();
    let nobodys = json!([{"index": 1, "external_id": null, "field": "phone", "code": "too_short", "message": ""}]);
    assert_eq!(remarks, nobodys);
    assert_eq!(fleet.sandbox.ledger().len(), 6);
    fleet.end_without_the_ledger().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_to_be_written_to_is_never_written_to_after_an_erasure() {
    // One a minute: the worker has the others in its hand and waits.
    let (fleet, acme, erp) = Fleet::with_tenant(TenantOptions { rate: 1, ..TenantOptions::default() }).await;
    let mut slow = batch("lote-a", 4);
    let mut her = with_her("lote-a", 1, PHONE)["contacts"][0].clone();
    her["external_id"] = json!("outro-id-dela");
    slow["contacts"][3] = her;
    let mut later = with_her("lote-b", 1, PHONE);
    later["scheduled_for"] = json!("2026-11-24T13:00:00Z");
    let (slow, later) = (erp.accepted("overdue", &slow).await, erp.accepted("overdue", &later).await);
    erp.until_that(&slow, "the first has left", |queue| queue["sent"] == 1).await;
    let owner = Owner::of(&fleet, &acme, "acme", "owner").await;
    let done = owner.erase(&json!({"phone": PHONE})).await;
    assert_eq!(
        (&done["erased"], &done["cancelled"], &done["being_sent"]),
        (&json!(2), &json!(2), &json!(0)),
        "{done:#}"
    );
    let status = erp.status(&later).await;
    assert_eq!((&status["status"], &status["cancelled"]), (&json!("completed"), &json!(1)), "{status:#}");
    for sent in 2..=3 {
        fleet.hands.set(fleet.clock.now() + chrono::TimeDelta::seconds(90));
        erp.until_that(&slow, "one more has left", |queue| queue["sent"] == sent).await;
    }
    let status = erp.until(&slow, "completed").await;
    assert_eq!(
        (&status["sent"], &status["cancelled"], &status["pending"]),
        (&json!(3), &json!(1), &json!(0)),
        "{status:#}"
    );
    fleet.hands.set(fleet.clock.now() + chrono::TimeDelta::days(2));
    fleet.until_lanes_are_free().await;
    assert!(!fleet.sent_by_number().contains_key(&PHONE[1..]), "she was written to");
    assert_no_trace(&fleet, &acme).await;
    fleet.end().await;
}

/// One message that is on its way for long when its erasure is asked for, and what it comes to.
async fn erased_while_sent(effect: Effect, message_type: &str, expected: (&str, usize)) {
    let options = FleetOptions { send_timeout: std::time::Duration::from_secs(20), ..FleetOptions::default() };
    let (fleet, acme, erp) = Fleet::with(options, TenantOptions::default()).await;
    let owner = Owner::of(&fleet, &acme, "acme", "owner").await;
    fleet.sandbox.set_faults(vec![Fault { latency_ms: 3000, ..Fault::every_send(effect) }]).unwrap();
    let queue = erp.accepted(message_type, &with_her("lote-a", 1, PHONE)).await;
    erp.until_that(&queue, "on its way", |queue| queue["sending"] == 1).await;
    let done = owner.erase(&json!({"external_id": CUSTOMER})).await;
    assert_eq!((&done["erased"], &done["being_sent"]), (&json!(0), &json!(1)), "{done:#}");
    let asked = owner.erase(&json!({"external_id": CUSTOMER})).await;
    assert_eq!((&asked["being_sent"], &asked["erased_before"]), (&json!(1), &json!(0)), "asked twice: {asked:#}");
    eventually("the rest of the erasure", async || {
        fleet.count("select count(*) from contacts where erased_at is not null").await == 1
    })
    .await;
    fleet.sandbox.set_faults(Vec::new()).unwrap();
    // Long enough for every look and every new try.
    for _ in 0..5 {
        fleet.hands.set(fleet.clock.now() + chrono::TimeDelta::hours(3));
        fleet.until_lanes_are_free().await;
    }
    let contact = erp.contacts(&queue).await[0].clone();
    assert_eq!((contact["status"].as_str().unwrap(), &contact["attempts"]), (expected.0, &json!(1)), "{contact:#}");
    assert_eq!(fleet.sandbox.ledger().len(), expected.1);
    assert_eq!(fleet.count("select count(*) from attempts where next_look_at is not null").await, 0);
    assert_no_trace(&fleet, &acme).await;
    let again = owner.erase(&json!({"phone": PHONE})).await;
    assert_eq!((&again["erased_before"], &again["being_sent"]), (&json!(1), &json!(0)), "{again:#}");
    fleet.end_without_the_ledger().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_on_its_way_is_erased_when_it_has_left() {
    erased_while_sent(Effect::None, "overdue", ("sent", 1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_on_its_way_that_did_not_leave_is_not_tried_again() {
    erased_while_sent(Effect::Envelope500, "overdue", ("cancelled", 0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_on_its_way_of_which_nobody_can_say_whether_it_left_is_not_looked_for() {
    erased_while_sent(Effect::TimedOut400, "notification", ("unconfirmed", 0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unconfirmed_contact_that_was_erased_is_neither_looked_for_nor_sent_again() {
    let (fleet, acme, erp) = Fleet::with_tenant(TenantOptions::default()).await;
    let lost = Fault { times: Some(1), left: Some(false), ..Fault::every_send(Effect::TimedOut400) };
    fleet.sandbox.set_faults(vec![lost]).unwrap();
    let queue = erp.accepted("notification", &with_her("lote-a", 1, PHONE)).await;
    erp.until_that(&queue, "unconfirmed", |queue| queue["unconfirmed"] == 1).await;
    let owner = Owner::of(&fleet, &acme, "acme", "owner").await;
    assert_eq!(owner.erase(&json!({"phone": PHONE})).await["erased"], 1);
    let contact = erp.contacts(&queue).await[0].clone();
    let id = contact["contact_id"].as_str().unwrap();
    let refused = erp.verdict(id, "resend").await;
    assert_eq!(
        (refused.status, &refused.body["code"]),
        (StatusCode::CONFLICT, &json!("state_conflict")),
        "{refused:?}"
    );
    for _ in 0..5 {
        fleet.hands.set(fleet.clock.now() + chrono::TimeDelta::hours(3));
        fleet.until_lanes_are_free().await;
    }
    let settled = erp.contact(id).await;
    assert_eq!((&settled["status"], &settled["history"][0]["settled_by"]), (&json!("unconfirmed"), &json!("gave_up")));
    assert_eq!(erp.verdict(id, "give_up").await.status, StatusCode::OK, "a person may still close it");
    assert!(fleet.sandbox.ledger().is_empty());
    assert_no_trace(&fleet, &acme).await;
    fleet.end_without_the_ledger().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_names_nobody_or_two_is_refused_and_only_owners_may_ask() {
    let (fleet, acme, _) = without_periodic().await;
    let owner = Owner::of(&fleet, &acme, "acme", "owner").await;
    let operator = Owner::of(&fleet, &acme, "acme", "operator").await;
    for path in ["/debtors/export", "/debtors/erase"] {
        for body in [
            json!({}),
            json!({"phone": "12"}),
            json!({"phone": PHONE, "external_id": "x"}),
            json!({"name": NAME}),
            json!({"phone": PHONE, "cursor": "x"}),
        ] {
            let answer = owner.call(Method::POST, path, &body).await;
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{path} {body}: {:#}", answer.body);
        }
        let answer = operator.call(Method::POST, path, &json!({"phone": PHONE})).await;
        assert_eq!((answer.status, &answer.body["code"]), (StatusCode::FORBIDDEN, &json!("forbidden")), "{path}");
    }
    let answer = owner.call(Method::POST, "/debtors/erase", &json!({"phone": PHONE, "reason": NAME})).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "a reason is a word, and never a name");
    fleet.end().await;
}

/// What erases is what the table itself demands: a column that was forgotten is no erasure.
#[tokio::test(flavor = "multi_thread")]
async fn the_database_takes_no_erasure_that_leaves_something_and_sends_nothing_that_is_erased() {
    let (fleet, _, erp) = without_periodic().await;
    let queue = erp.accepted("overdue", &with_her("lote-a", 1, PHONE)).await;
    erp.until(&queue, "completed").await;
    let erased = "erasure_asked_at = now(), erased_at = now()";
    let all =
        "name = '', phone = '', text = '', external_id = null, due_date = null, amount_cents = null, variables = '{}',
               metadata = '{}'";
    let parts: Vec<_> = all.split(',').collect();
    let mut statements: Vec<_> = (0..parts.len())
        .map(|left| {
            let kept: Vec<_> =
                parts.iter().enumerate().filter(|(part, _)| *part != left).map(|(_, part)| *part).collect();
            format!("update contacts set {erased}, {}", kept.join(","))
        })
        .collect();
    statements.push(format!("update contacts set {erased}, {all}, status = 'pending'"));
    statements.push(format!("update contacts set {erased}, {all}, status = 'sending'"));
    statements.push("update contacts set erasure_asked_at = now(), status = 'pending'".to_owned());
    for statement in statements {
        let error = fleet.database.pool.execute(AssertSqlSafe(statement.clone())).await.expect_err(&statement);
        let constraint = error.as_database_error().and_then(|error| error.constraint()).unwrap_or_default().to_owned();
        assert!(constraint.starts_with("contacts_"), "{statement}: {error}");
    }
    fleet.database.pool.execute(AssertSqlSafe(format!("update contacts set {erased}, {all}"))).await.unwrap();
    fleet.end_without_the_ledger().await;
}
