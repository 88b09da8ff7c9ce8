//! Scopes of API keys: a key does what its scopes say, and nothing else.

use regua_tests::{batch, eventually};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn key_acts_within_its_scopes_only() {
    let (fleet, tenant, owner) = fleet_with_user(UserRole::Owner).await;
    let all = Client::new(&fleet.api, &tenant.key);
    let queue = all.send_accepted("notification", &batch("lote-0", 1)).await;
    let contact = all.contacts(&queue).await[0]["contact_id"].as_str().unwrap().to_owned();
    let billing = |rest: String| format!("/api/v1/billing{rest}");
    let calls = [
        ("send", Method::POST, billing("/send/notification".to_owned()), Some(batch("lote-1", 1))),
        ("control", Method::POST, billing(format!("/queue/{queue}/control")), Some(json!({"action": "pause"}))),
        ("control", Method::POST, billing(format!("/contact/{contact}/verdict")), Some(json!({"verdict": "confirm"}))),
        ("read", Method::GET, billing(format!("/queue/{queue}/status")), None),
        ("read", Method::GET, billing(format!("/queue/{queue}/contacts")), None),
        ("read", Method::GET, billing(format!("/contact/{contact}")), None),
        ("read", Method::GET, billing("/queues".to_owned()), None),
    ];
    for scope in ["send", "control", "read"] {
        let created = body_of(201, owner.post(&path("/keys"), &json!({"name": scope, "scopes": [scope]})).await);
        assert_eq!(created["scopes"], json!([scope]));
        let text = created["api_key"].as_str().unwrap();
        logs::register_secret(text);
        let key = Client::new(&fleet.api, text);
        for (needed, method, path, body) in &calls {
            let answer = key.call(method.clone(), path, body.as_ref()).await;
            if *needed == scope {
                assert_ne!(answer.status, StatusCode::FORBIDDEN, "{scope}: {path}: {:#}", answer.body);
            } else {
                let detail = answer.body["detail"].as_str().unwrap_or_default().to_owned();
                assert_eq!(code_of(403, answer), "forbidden", "{scope}: {path}");
                assert!(detail.contains(needed) && detail.contains(scope), "{detail}");
            }
        }
    }
    fleet.end_unfinished().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn key_without_named_scopes_has_three_and_a_change_keeps_them() {
    let (fleet, tenant, owner) = fleet_with_user(UserRole::Owner).await;
    let three = json!(["control", "read", "send"]);
    let scopes_of = async |name: &str| {
        let keys = body_of(200, owner.get(&path("/keys")).await);
        let key = keys["items"].as_array().unwrap().iter().find(|key| key["name"] == name).cloned().unwrap();
        let mut scopes: Vec<_> = key["scopes"].as_array().unwrap().iter().map(Value::to_string).collect();
        scopes.sort();
        json!(scopes.iter().map(|scope| scope.trim_matches('"')).collect::<Vec<_>>())
    };
    // As a program of v0.2.0 stores a key.
    let stored = format!(
        "insert into api_keys (tenant_id, api_key_id, name, lookup_prefix, secret_hash, created_at)
         values ('{}', gen_random_uuid(), 'antes', 'abcdefgh', sha256(''), now())",
        tenant.id
    );
    sqlx::Executor::execute(&fleet.database.pool, sqlx::AssertSqlSafe(stored)).await.unwrap();
    assert_eq!(scopes_of("antes").await, three);
    logs::register_secret(
        body_of(201, owner.post(&path("/keys"), &json!({"name": "ERP"})).await)["api_key"].as_str().unwrap(),
    );
    assert_eq!(scopes_of("ERP").await, three);

    let created = body_of(201, owner.post(&path("/keys"), &json!({"name": "BI", "scopes": ["read", "read"]})).await);
    logs::register_secret(created["api_key"].as_str().unwrap());
    let one = path(&format!("/keys/{}", created["key_id"].as_str().unwrap()));
    assert_eq!(body_of(200, owner.put(&one, &json!({"name": "Painel"})).await)["scopes"], json!(["read"]));
    let rotated = body_of(201, owner.post(&format!("{one}/rotate"), &json!({})).await);
    logs::register_secret(rotated["api_key"].as_str().unwrap());
    assert_eq!(rotated["scopes"], json!(["read"]));
    for invalid in [json!([]), json!(["write"]), json!("read")] {
        let refused = owner.post(&path("/keys"), &json!({"name": "x", "scopes": invalid})).await;
        assert_eq!(faults(refused)[0].0, "scopes");
    }
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn key_that_is_created_inactive_is_refused_until_it_is_activated() {
    let (fleet, _, owner) = fleet_with_user(UserRole::Owner).await;
    let created = body_of(201, owner.post(&path("/keys"), &json!({"name": "ERP", "active": false})).await);
    let text = created["api_key"].as_str().unwrap();
    logs::register_secret(text);
    assert_eq!(created["active"], false);
    let key = Client::new(&fleet.api, text);
    let status = async || key.call(Method::GET, "/api/v1/billing/queues", None).await.status;
    assert_eq!(status().await, StatusCode::UNAUTHORIZED);
    let one = path(&format!("/keys/{}", created["key_id"].as_str().unwrap()));
    body_of(200, owner.put(&one, &json!({"name": "ERP"})).await);
    eventually("the key to be accepted", async || status().await == StatusCode::OK).await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn network_with_host_bits_is_refused_and_the_refusal_names_the_network() {
    let (fleet, _, owner) = fleet_with_user(UserRole::Owner).await;
    let add =
        async |network: &str| owner.post(&path("/keys"), &json!({"name": "ERP", "allowed_networks": [network]})).await;
    for (network, named) in [
        ("127.0.0.1/0", ["0.0.0.0/0", "127.0.0.1"]),
        ("203.0.113.7/24", ["203.0.113.0/24", "203.0.113.7"]),
        ("2001:db8::1/32", ["2001:db8::/32", "2001:db8::1"]),
    ] {
        let problem = body_of(422, add(network).await);
        let error = &problem["errors"][0];
        assert_eq!((&error["field"], &error["code"]), (&json!("allowed_networks[0]"), &json!("invalid_network")));
        let text = error["message"].as_str().unwrap_or_default();
        assert!(named.iter().all(|name| text.contains(name)), "{problem:#}");
    }
    for (network, stored) in [("203.0.113.0/24", "203.0.113.0/24"), ("203.0.113.7", "203.0.113.7/32")] {
        assert_eq!(body_of(201, add(network).await)["allowed_networks"], json!([stored]));
    }
    fleet.end().await;
}
