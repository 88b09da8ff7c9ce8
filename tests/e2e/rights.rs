//! Access to every route of the contract: each is called by every kind of caller, at its own tenant and at another. A
//! route that is missing in the access table fails the test.

mod caller;
mod paths;
mod routes;
mod timing;

use std::collections::BTreeSet;

use regua_domain::UserRole;
use regua_tests::{Answer, Client, Fleet, FleetOptions, TenantOptions};
use reqwest::{Method, StatusCode};
use serde_json::Value;

use self::caller::{Caller, body};
use self::paths::{TenantWithUsers, has_tenant_id, unknown_path};
use self::routes::Access::{AnyUser, Key, KeyOr, Public, User, Webhook};
use self::routes::{Access, ROUTES};

/// Status and body of an answer, without its request id.
fn comparable(answer: &Answer) -> (StatusCode, Value) {
    let mut body = answer.body.clone();
    body.as_object_mut().map(|body| body.remove("request_id"));
    (answer.status, body)
}

fn is_admitted(answer: &Answer) -> bool {
    let refusals = [
        "not_authenticated",
        "api_key_missing",
        "api_key_invalid",
        "forbidden",
        "cross_site",
        "webhook_secret_invalid",
    ];
    let code = answer.body["code"].as_str().unwrap_or_default();
    assert!(answer.status.as_u16() < 500, "{:#}", answer.body);
    !refusals.contains(&code)
}

#[test]
fn every_route_is_in_the_access_table() {
    let document: Value = serde_json::from_str(&regua_api::openapi_json().unwrap()).unwrap();
    let served: BTreeSet<_> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| {
            methods.as_object().unwrap().keys().map(move |method| (method.clone(), path.clone()))
        })
        .collect();
    let listed: BTreeSet<_> =
        ROUTES.iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned())).collect();
    let (new, gone): (Vec<_>, Vec<_>) = (served.difference(&listed).collect(), listed.difference(&served).collect());
    assert!(
        new.is_empty() && gone.is_empty(),
        "routes missing in the table: {new:#?}\nroutes that no longer exist: {gone:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_admits_its_principals_and_refuses_all_others() {
    let options = FleetOptions { workers: 0, periodic: false, ..FleetOptions::default() };
    let (fleet, acme, _) = Fleet::with(options, TenantOptions::default()).await;
    let other = TenantOptions { slug: "other", instances: vec!["filial".to_owned()], ..TenantOptions::default() };
    let other = fleet.create_tenant(&other).await;
    let (ours, theirs) = (TenantWithUsers::create(&fleet, acme).await, TenantWithUsers::create(&fleet, other).await);
    let key = Client::new(&fleet.api, &ours.tenant.key);
    let mut tried = 0;
    for (method, pattern, access) in ROUTES {
        let method: Method = method.to_uppercase().parse().unwrap();
        let (path, body) = (unknown_path(pattern), body(&method));
        let route = format!("{method} {pattern}");
        let mut expect = |caller: &str, answer: &Answer, admitted: bool| {
            tried += 1;
            assert_eq!(is_admitted(answer), admitted, "{caller}: {route}: {} {:#}", answer.status, answer.body);
        };
        let anonymous = ours.owner().without_credentials();
        expect("no credential", &anonymous.call(method.clone(), &path, body.as_ref()).await, *access == Public);
        let by_key = key.call(method.clone(), &path, body.as_ref()).await;
        expect("an API key", &by_key, matches!(access, Public | Key | KeyOr(_)));
        for (role, user) in &ours.users {
            let may = match access {
                Public | AnyUser => true,
                User(right) | KeyOr(right) => role.may(*right),
                Key | Webhook => false,
            };
            expect(role.as_str(), &user.call(method.clone(), &path, body.as_ref()).await, may);
            if *role != UserRole::Platform && matches!(access, User(_) | KeyOr(_)) {
                let answer = user.acting_for(&theirs.tenant).call(method.clone(), &path, body.as_ref()).await;
                expect(&format!("{role} acting for another tenant"), &answer, false);
            }
        }
        tried += assert_foreign_ids_are_unknown(&method, pattern, *access, &ours, &theirs, &key).await;
    }
    println!("{} routes, {tried} calls by roles and tenants", ROUTES.len());
    fleet.end_unfinished().await;
}

/// Asserts that another tenant's ids get the answer of unknown ids. Returns the number of calls.
async fn assert_foreign_ids_are_unknown(
    method: &Method,
    pattern: &str,
    access: Access,
    ours: &TenantWithUsers,
    theirs: &TenantWithUsers,
    key: &Client,
) -> usize {
    if !has_tenant_id(pattern, access) {
        return 0;
    }
    let caller = Caller { method, pattern, access, owner: ours.owner(), key };
    let (foreign, unknown) = (caller.call(&theirs.path(pattern)).await, caller.call(&unknown_path(pattern)).await);
    assert_eq!(comparable(&foreign), comparable(&unknown), "{method} {pattern} reveals that the id exists");
    assert!(matches!(foreign.status.as_u16(), 404 | 422), "{method} {pattern}: {}", foreign.status);
    2
}
