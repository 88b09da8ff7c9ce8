//! The debtor of the privacy tests, her batches, and the users who export and erase her data.

use regua_domain::{GatewayEventName, UserId};
use regua_store::users::{self, NewUser};
use regua_store::webhook_events;
use regua_tests::{Answer, Client, Fleet, FleetOptions, Tenant, TenantOptions, batch, contact};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor, Row};

pub(super) const PASSWORD: &str = "senha que ninguém adivinha 47";
pub(super) const NAME: &str = "Quirina Souto Bezerra";
pub(super) const PHONE: &str = "+5585987654321";
pub(super) const CUSTOMER: &str = "cliente-4711-xyz";
/// Texts that no row may contain after an erasure. Her first name is in the text of her message.
pub(super) const TRACES: [&str; 7] =
    ["Quirina", "Souto", "5585987654321", "85987654321", "558587654321", "cliente-4711-xyz", "boleto-da-quirina"];

/// A logged-in user of a tenant, in most tests an owner.
pub(super) struct User {
    pub(super) api: Client,
    pub(super) token: String,
}

impl User {
    pub(super) async fn logged_in(fleet: &Fleet, tenant: &Tenant, slug: &str, role: &str) -> Self {
        let (now, email) = (fleet.clock.now(), format!("{role}@{slug}.example"));
        let (invitation, hash) = regua_api::keys::secret_with_hash(&[11; 32]);
        let new = NewUser {
            tenant_id: tenant.id,
            user_id: UserId::new(now),
            email: &email.parse().unwrap(),
            name: "Ana",
            role: role.parse().unwrap(),
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
        let login = owner.api.call(Method::POST, "/api/v1/auth/login", Some(&body)).await;
        login.body["access_token"].as_str().unwrap_or_else(|| panic!("{:#}", login.body)).clone_into(&mut owner.token);
        owner
    }

    /// A new access token, for when the first has expired.
    pub(super) async fn login_again(&self, slug: &str) -> String {
        let body = json!({"tenant": slug, "email": format!("owner@{slug}.example"), "password": PASSWORD});
        let login = self.api.call(Method::POST, "/api/v1/auth/login", Some(&body)).await;
        login.body["access_token"].as_str().unwrap_or_else(|| panic!("{:#}", login.body)).to_owned()
    }

    pub(super) async fn call(&self, method: Method, path: &str, body: &Value) -> Answer {
        let request = self.api.request(method, &format!("/api/v1/admin{path}")).bearer_auth(&self.token).json(body);
        Client::answer(request).await
    }

    pub(super) async fn export(&self, debtor: &Value) -> Value {
        let answer = self.call(Method::POST, "/debtors/export", debtor).await;
        assert_eq!(answer.status, StatusCode::OK, "{:#}", answer.body);
        answer.body
    }

    pub(super) async fn erase(&self, debtor: &Value) -> Value {
        let answer = self.call(Method::POST, "/debtors/erase", debtor).await;
        assert_eq!(answer.status, StatusCode::OK, "{:#}", answer.body);
        answer.body
    }
}

/// A batch of this many contacts. The debtor is the first; the phone number may be in any spelling.
pub(super) fn batch_with_debtor(external_id: &str, contacts: usize, phone: &str) -> Value {
    let mut batch = batch(external_id, contacts);
    let mut debtor = contact(external_id, 0);
    debtor["name"] = json!(NAME);
    debtor["phone"] = json!(phone);
    debtor["external_id"] = json!(CUSTOMER);
    debtor["amount"] = json!("7654.32");
    debtor["variables"] = json!({"link": "https://acme.example/boleto-da-quirina"});
    debtor["metadata"] = json!({"obs": "ligar para Quirina"});
    batch["contacts"][0] = debtor;
    batch["metadata"] = json!({"cliente": CUSTOMER, "nota": {"tel": "(85) 98765-4321"}, "loja": "Centro"});
    batch["name"] = json!(format!("Cobrança {NAME}"));
    batch
}

/// A batch whose second contact is the debtor's and is rejected.
pub(super) fn batch_rejecting_debtor(external_id: &str) -> Value {
    let mut batch = batch(external_id, 2);
    batch["contacts"][1] = json!({"external_id": CUSTOMER, "name": NAME, "phone": "85 9876"});
    batch
}

/// Every row of every table that meets the condition, as text.
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

/// A fleet without periodic, so that stored webhook events remain.
pub(super) async fn fleet_without_periodic() -> (Fleet, Tenant, Client) {
    let options = FleetOptions { periodic: false, ..FleetOptions::default() };
    Fleet::with(options, TenantOptions::default()).await
}

pub(super) async fn other_tenant(fleet: &Fleet) -> (Tenant, Client) {
    let options = TenantOptions { slug: "outra", instances: vec!["filial".to_owned()], ..TenantOptions::default() };
    let other = fleet.create_tenant(&options).await;
    let erp = Client::new(&fleet.api, &other.key);
    (other, erp)
}

/// Stores a webhook event about a message to this number, which waits to be matched.
pub(super) async fn store_webhook(fleet: &Fleet, tenant: &Tenant, digits: &str) {
    let data = json!({"key": {"id": "3EB0AA", "remoteJid": format!("{digits}@s.whatsapp.net")}, "message": {"conversation": "x"}});
    let mut transaction = fleet.database.pool.begin().await.unwrap();
    let now = fleet.clock.now();
    let (instance, event) = (tenant.instances[0], GatewayEventName::SendMessage);
    let data = data.to_string();
    webhook_events::insert_gateway_event(&mut transaction, tenant.id, instance, event, &data, true, now).await.unwrap();
    transaction.commit().await.unwrap();
}
