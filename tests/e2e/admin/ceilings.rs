//! The ceiling that the platform sets for the request rates of a tenant.

use regua_domain::UserRole;
use regua_store::{access, tenants};
use regua_tests::{Client, TestUser};
use serde_json::json;

use super::{body_of, faults, fleet_with_user, path};

#[tokio::test(flavor = "multi_thread")]
async fn owner_cannot_exceed_the_request_ceiling_of_the_platform() {
    let (fleet, tenant, platform) = fleet_with_user(UserRole::Platform).await;
    let owner = TestUser::logged_in(&fleet, &tenant, UserRole::Owner, "dona").await;
    let of_tenant = path(&format!("/tenants/{}", tenant.id));
    let set = json!({"name": "Acme Ltda", "max_requests_per_minute": 100});
    assert_eq!(body_of(200, platform.put(&of_tenant, &set).await)["max_requests_per_minute"], 100);
    assert_eq!(owner.put(&of_tenant, &set).await.status, 403);

    let above = json!({"name": "ERP", "requests_per_minute": 101});
    for refused in [
        owner.post(&path("/keys"), &above).await,
        owner.put(&path("/config"), &json!({"requests_per_minute": 101})).await,
    ] {
        assert!(refused.body["errors"][0]["message"].as_str().unwrap().contains("100"), "{:#}", refused.body);
        let expected = ("requests_per_minute".to_owned(), "invalid_number".to_owned());
        assert_eq!(faults(refused), [expected]);
    }
    let key = body_of(201, owner.post(&path("/keys"), &json!({"name": "ERP", "requests_per_minute": 100})).await);
    regua_tests::logs::register_secret(key["api_key"].as_str().unwrap());
    let one = path(&format!("/keys/{}", key["key_id"].as_str().unwrap()));
    assert_eq!(faults(owner.put(&one, &above).await).len(), 1);

    // The key of the tenant has the tenant's rate, which was set before the ceiling.
    let answer = Client::new(&fleet.api, &tenant.key).call(reqwest::Method::GET, "/api/v1/billing/queues", None).await;
    assert_eq!(answer.headers["ratelimit-policy"], "100;w=60;burst=20", "the smaller one counts");
    let renamed = body_of(200, platform.put(&of_tenant, &json!({"name": "Acme"})).await);
    assert_eq!(renamed["max_requests_per_minute"], 100, "an absent ceiling stays");

    let mut transaction = access::begin(&fleet.database.pool, tenant.id).await.unwrap();
    let error = tenants::set_max_requests(&mut transaction, tenant.id, 6_000_000).await.unwrap_err();
    assert!(error.to_string().contains("only a user of the platform"), "{error}");
    drop(transaction);
    fleet.end().await;
}
