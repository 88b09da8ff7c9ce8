//! The debtor whose data is looked for, and the people who answer her.

use regua_domain::UserId;
use regua_store::users::{self, NewUser};
use regua_tests::{Answer, Client, Fleet, FleetOptions, Tenant, TenantOptions, batch, contact};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor, Row};

pub(super) const PASSWORD: &str = "senha que ninguém adivinha 47";
pub(super) const NAME: &str = "Quirina Souto Bezerra";
pub(super) const PHONE: &str = "+5585987654321";
pub(super) const CUSTOMER: &str = "cliente-4711-xyz";
/// What must stand nowhere after an erasure. Her first name is in the text of her message.
pub(super) const TRACES: [&str; 7] =
    ["Quirina", "Souto", "5585987654321", "85987654321", "558587654321", "cliente-4711-xyz", "boleto-da-quirina"];

/// An owner of a tenant who came in.
pub(super) struct Owner {
    pub(super) api: Client,
    pub(super) token: String,
}

impl Owner {
    pub(super) async fn of(fleet: &Fleet, tenant: &Tenant, slug: &str, role: &str) -> Self {
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
    pub(super) async fn login_again(&self, slug: &str) -> String {
        let body = json!({"tenant": slug, "email": format!("owner@{slug}.example"), "password": PASSWORD});
        let came_in = self.api.call(Method::POST, "/api/v1/auth/login", Some(&body)).await;
        came_in.body["access_token"].as_str().unwrap_or_else(|| panic!("{:#}", came_in.body)).to_owned()
    }

    pub(super) async fn call(&self, method: Method, path: &str, body: &Value) -> Answer {
        let request = self.api.request(method, &format!("/api/v1/admin{path}")).bearer_auth(&self.token).json(body);
        Client::answer(request).await
    }

    pub(super) async fn export(&self, who: &Value) -> Value {
        let answer = self.call(Method::POST, "/debtors/export", who).await;
        assert_eq!(answer.status, StatusCode::OK, "{:#}", answer.body);
        answer.body
    }

    pub(super) async fn erase(&self, who: &Value) -> Value {
        let answer = self.call(Method::POST, "/debtors/erase", who).await;
        assert_eq!(answer.status, StatusCode::OK, "{:#}", answer.body);
        answer.body
    }
}

/// A batch of so many, of whom the first is she; her number is written as an ERP may.
pub(super) fn with_her(external_id: &str, contacts: usize, phone: &str) -> Value {
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
pub(super) fn refusing_her(external_id: &str) -> Value {
    let mut batch = batch(external_id, 2);
    batch["contacts"][1] = json!({"external_id": CUSTOMER, "name": NAME, "phone": "85 9876"});
    batch
}

/// Every row of every table, as text; with a condition on each.
pub(super) async fn dump(fleet: &Fleet, condition: &str) -> Vec<String> {
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

pub(super) async fn assert_no_trace(fleet: &Fleet, tenant: &Tenant) {
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
pub(super) async fn without_periodic() -> (Fleet, Tenant, Client) {
    let options = FleetOptions { periodic: false, ..FleetOptions::default() };
    Fleet::with(options, TenantOptions::default()).await
}

pub(super) async fn other_tenant(fleet: &Fleet) -> (Tenant, Client) {
    let options = TenantOptions { slug: "outra", instances: vec!["filial".to_owned()], ..TenantOptions::default() };
    let other = fleet.tenant(&options).await;
    let erp = Client::new(&fleet.api, &other.key);
    (other, erp)
}

/// A webhook that waits to be matched: what the gateway tells of a message to this number.
pub(super) async fn store_webhook(fleet: &Fleet, tenant: &Tenant, digits: &str) {
    let data = json!({"key": {"id": "3EB0AA", "remoteJid": format!("{digits}@s.whatsapp.net")}, "message": {"conversation": "x"}});
    let mut transaction = fleet.database.pool.begin().await.unwrap();
    let now = fleet.clock.now();
    regua_store::webhook_events::insert(&mut transaction, tenant.id, tenant.instances[0], "send.message", &data, now)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
}
