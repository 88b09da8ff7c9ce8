//! Who may do what: every route of the contract, tried by everybody, at their own tenant and at another's. A route that has no
//! line here fails the test.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use regua_domain::{Right, UserRole};
use regua_tests::{Answer, Client, Fleet, FleetOptions, Person, Tenant, TenantOptions, batch};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

/// What a route asks of its caller.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Asks {
    /// Nothing: it is where people come in.
    Nothing,
    /// An API key.
    Key,
    /// An API key, or somebody with a right.
    KeyOr(Right),
    /// That somebody came in.
    Person,
    /// That, and a right.
    Right(Right),
    /// The secret of a number's webhooks.
    Webhook,
}
use Asks::{Key, Nothing, Webhook};
const LOOK: Asks = Asks::Right(Right::Look);
const OPERATE: Asks = Asks::Right(Right::Operate);
const OWN: Asks = Asks::Right(Right::Own);
const PLATFORM: Asks = Asks::Right(Right::RunThePlatform);

#[rustfmt::skip]
const ROUTES: &[(&str, &str, Asks)] = &[
    ("post", "/api/v1/billing/send/overdue", Key),
    ("post", "/api/v1/billing/send/upcoming", Key),
    ("post", "/api/v1/billing/send/notification", Key),
    ("get", "/api/v1/billing/queue/{queue_id}/status", Asks::KeyOr(Right::Look)),
    ("post", "/api/v1/billing/queue/{queue_id}/control", Asks::KeyOr(Right::Operate)),
    ("get", "/api/v1/billing/queue/{queue_id}/contacts", Asks::KeyOr(Right::Look)),
    ("get", "/api/v1/billing/queues", Asks::KeyOr(Right::Look)),
    ("get", "/api/v1/billing/contact/{contact}", Asks::KeyOr(Right::Look)),
    ("post", "/api/v1/billing/contact/{contact}/verdict", Asks::KeyOr(Right::Operate)),
    ("post", "/webhooks/evolution/{tenant_id}/{instance_id}", Webhook),
    ("post", "/api/v1/auth/login", Nothing),
    ("post", "/api/v1/auth/session", Nothing),
    ("delete", "/api/v1/auth/session", Nothing),
    ("post", "/api/v1/auth/refresh", Nothing),
    ("post", "/api/v1/auth/logout", Nothing),
    ("post", "/api/v1/auth/invitation", Nothing),
    ("get", "/api/v1/auth/me", Asks::Person),
    ("post", "/api/v1/auth/password", Asks::Person),
    ("post", "/api/v1/auth/totp", Asks::Person),
    ("put", "/api/v1/auth/totp", Asks::Person),
    ("delete", "/api/v1/auth/totp", Asks::Person),
    ("get", "/api/v1/admin/tenants", PLATFORM),
    ("post", "/api/v1/admin/tenants", PLATFORM),
    ("get", "/api/v1/admin/tenants/{tenant_id}", PLATFORM),
    ("put", "/api/v1/admin/tenants/{tenant_id}", PLATFORM),
    ("get", "/api/v1/admin/config", LOOK),
    ("put", "/api/v1/admin/config", OWN),
    ("get", "/api/v1/admin/hours", LOOK),
    ("put", "/api/v1/admin/hours", OWN),
    ("get", "/api/v1/admin/holidays", LOOK),
    ("put", "/api/v1/admin/holidays/{day}", OPERATE),
    ("delete", "/api/v1/admin/holidays/{day}", OPERATE),
    ("get", "/api/v1/admin/templates", LOOK),
    ("post", "/api/v1/admin/templates", OPERATE),
    ("get", "/api/v1/admin/templates/{template_id}", LOOK),
    ("put", "/api/v1/admin/templates/{template_id}", OPERATE),
    ("delete", "/api/v1/admin/templates/{template_id}", OPERATE),
    ("get", "/api/v1/admin/defaults", LOOK),
    ("put", "/api/v1/admin/defaults/{type}", OPERATE),
    ("get", "/api/v1/admin/instances", LOOK),
    ("post", "/api/v1/admin/instances", OPERATE),
    ("get", "/api/v1/admin/instances/{instance_id}", LOOK),
    ("put", "/api/v1/admin/instances/{instance_id}", OPERATE),
    ("delete", "/api/v1/admin/instances/{instance_id}", OPERATE),
    ("post", "/api/v1/admin/instances/{instance_id}/check", OPERATE),
    ("post", "/api/v1/admin/instances/{instance_id}/webhook", OPERATE),
    ("get", "/api/v1/admin/retention", LOOK),
    ("put", "/api/v1/admin/retention", OWN),
    ("post", "/api/v1/admin/debtors/export", OWN),
    ("post", "/api/v1/admin/debtors/erase", OWN),
    ("get", "/api/v1/admin/audit", OWN),
    ("get", "/api/v1/admin/keys", OWN),
    ("post", "/api/v1/admin/keys", OWN),
    ("put", "/api/v1/admin/keys/{key_id}", OWN),
    ("delete", "/api/v1/admin/keys/{key_id}", OWN),
    ("post", "/api/v1/admin/keys/{key_id}/rotate", OWN),
    ("get", "/api/v1/admin/users", OWN),
    ("post", "/api/v1/admin/users", OWN),
    ("put", "/api/v1/admin/users/{user_id}", OWN),
    ("post", "/api/v1/admin/users/{user_id}/invitation", OWN),
    ("delete", "/api/v1/admin/users/{user_id}/sessions", OWN),
];

/// A tenant with somebody of each role, and a key.
struct Side {
    tenant: Tenant,
    people: Vec<(UserRole, Person)>,
    queue: String,
    contact: String,
    key_id: String,
    template_id: String,
}

/// A day on which nobody is closed.
const DAY: &str = "2026-12-23";

impl Side {
    async fn of(fleet: &Fleet, tenant: Tenant) -> Self {
        let mut people = Vec::new();
        for role in UserRole::ALL {
            people.push((role, Person::logged_in(fleet, &tenant, role, role.as_str()).await));
        }
        let erp = Client::new(&fleet.api, &tenant.key);
        let queue = erp.accepted("overdue", &batch("lote-a", 1)).await;
        let contact = erp.contacts(&queue).await[0]["contact_id"].as_str().unwrap().to_owned();
        let key_id =
            people[2].1.get("/api/v1/admin/keys").await.body["items"][0]["key_id"].as_str().unwrap().to_owned();
        let templates = people[2].1.get("/api/v1/admin/templates").await.body;
        let template_id = templates["items"][0]["template_id"].as_str().unwrap().to_owned();
        Self { tenant, people, queue, contact, key_id, template_id }
    }

    fn owner(&self) -> &Person {
        &self.people[2].1
    }

    /// A path with this side's ids in it.
    fn path(&self, pattern: &str) -> String {
        let ids = [
            ("{queue_id}", self.queue.clone()),
            ("{contact}", self.contact.clone()),
            ("{key_id}", self.key_id.clone()),
            ("{user_id}", self.people[0].1.id.to_string()),
            ("{tenant_id}", self.tenant.id.to_string()),
            ("{instance_id}", self.tenant.instances[0].to_string()),
            ("{template_id}", self.template_id.clone()),
            ("{day}", DAY.to_owned()),
            ("{type}", "overdue".to_owned()),
        ];
        filled(pattern, &ids)
    }
}

/// A path with ids in it that are nobody's.
fn nobodys(pattern: &str) -> String {
    let id = Uuid::from_u128(0x019a_2000_0000_7000_8000_0000_0000_0001).to_string();
    let names = ["{queue_id}", "{contact}", "{key_id}", "{user_id}", "{tenant_id}", "{instance_id}"];
    let mut ids = names.map(|name| (name, id.clone())).to_vec();
    ids.extend([("{template_id}", id), ("{day}", DAY.to_owned()), ("{type}", "overdue".to_owned())]);
    filled(pattern, &ids)
}

fn filled(pattern: &str, ids: &[(&str, String)]) -> String {
    let path = ids.iter().fold(pattern.to_owned(), |path, (name, id)| path.replace(name, id));
    assert!(!path.contains('{'), "{path}: say what stands there");
    path
}

/// A body that every route reads and none takes: whoever is let in is told what is missing.
fn body(method: &Method) -> Option<Value> {
    (method != Method::GET).then(|| json!({"unknown": true}))
}

fn told(answer: &Answer) -> (StatusCode, Value) {
    let mut body = answer.body.clone();
    body.as_object_mut().map(|body| body.remove("request_id"));
    (answer.status, body)
}

fn is_let_in(answer: &Answer) -> bool {
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
fn every_route_has_its_line() {
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
    assert!(new.is_empty() && gone.is_empty(), "say who may use these: {new:#?}\nand take these off: {gone:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_lets_in_whom_it_should_and_nobody_else() {
    let options = FleetOptions { workers: 0, periodic: false, ..FleetOptions::default() };
    let (fleet, acme, _) = Fleet::with(options, TenantOptions::default()).await;
    let other = TenantOptions { slug: "other", instances: vec!["filial".to_owned()], ..TenantOptions::default() };
    let other = fleet.tenant(&other).await;
    let (ours, theirs) = (Side::of(&fleet, acme).await, Side::of(&fleet, other).await);
    let key = Client::new(&fleet.api, &ours.tenant.key);
    let mut tried = 0;
    for (method, pattern, asks) in ROUTES {
        let method: Method = method.to_uppercase().parse().unwrap();
        let (path, body) = (nobodys(pattern), body(&method));
        let what = format!("{method} {pattern}");
        let mut expect = |who: &str, answer: &Answer, is_in: bool| {
            tried += 1;
            assert_eq!(is_let_in(answer), is_in, "{who}: {what}: {} {:#}", answer.status, answer.body);
        };
        let nobody = ours.owner().outside();
        expect("nobody", &nobody.call(method.clone(), &path, body.as_ref()).await, *asks == Nothing);
        let by_key = key.call(method.clone(), &path, body.as_ref()).await;
        expect("a key", &by_key, matches!(asks, Nothing | Key | Asks::KeyOr(_)));
        for (role, person) in &ours.people {
            let may = match asks {
                Nothing | Asks::Person => true,
                Asks::Right(right) | Asks::KeyOr(right) => role.may(*right),
                Key | Webhook => false,
            };
            expect(role.as_str(), &person.call(method.clone(), &path, body.as_ref()).await, may);
            if *role != UserRole::Platform && matches!(asks, Asks::Right(_) | Asks::KeyOr(_)) {
                let abroad = person.acting_for(&theirs.tenant).call(method.clone(), &path, body.as_ref()).await;
                expect(&format!("{role} in another's name"), &abroad, false);
            }
        }
        tried += theirs_are_as_nobodys(&method, pattern, *asks, &ours, &theirs, &key).await;
    }
    println!("{} routes, {tried} tries of routes by roles and tenants", ROUTES.len());
    fleet.end_unfinished().await;
}

/// Another tenant's ids are answered as ids that are nobody's, and change nothing.
async fn theirs_are_as_nobodys(
    method: &Method,
    pattern: &str,
    asks: Asks,
    ours: &Side,
    theirs: &Side,
    key: &Client,
) -> usize {
    if !names_something(pattern, asks) {
        return 0;
    }
    let caller = Caller { method, pattern, asks, owner: ours.owner(), key };
    let (their, nobodys) = (caller.call(&theirs.path(pattern)).await, caller.call(&nobodys(pattern)).await);
    assert_eq!(told(&their), told(&nobodys), "{method} {pattern} tells that it exists");
    assert!(matches!(their.status.as_u16(), 404 | 422), "{method} {pattern}: {}", their.status);
    2
}

/// Whether a route's path holds an id that may be another tenant's. The platform's own are there for the platform, whosever
/// they are.
fn names_something(pattern: &str, asks: Asks) -> bool {
    pattern.contains('{') && asks != Webhook && asks != PLATFORM
}

/// Whoever may use a route, and calls it with a body that it takes.
struct Caller<'a> {
    method: &'a Method,
    pattern: &'a str,
    asks: Asks,
    owner: &'a Person,
    key: &'a Client,
}

impl Caller<'_> {
    async fn call(&self, path: &str) -> Answer {
        let body = match self.pattern.rsplit('/').next() {
            Some("control") => Some(json!({"action": "cancel"})),
            Some("verdict") => Some(json!({"verdict": "give_up"})),
            Some("rotate") => Some(json!({})),
            Some("{user_id}") => Some(json!({"name": "Outra", "role": "viewer"})),
            Some("{key_id}") => Some(json!({"name": "Outra"})),
            Some("{template_id}") => Some(json!({"variations": ["Outra"]})),
            Some("{instance_id}") => Some(json!({"base_url": "https://gateway.example"})),
            Some("webhook") => Some(json!({"public_url": "https://regua.example"})),
            _ => body(self.method),
        };
        match self.asks {
            Key | Asks::KeyOr(_) => self.key.call(self.method.clone(), path, body.as_ref()).await,
            _ => self.owner.call(self.method.clone(), path, body.as_ref()).await,
        }
    }

    /// The median times in which another tenant's id and nobody's are refused, taken in turn.
    async fn medians(&self, theirs: &str) -> [Duration; 2] {
        let paths = [theirs.to_owned(), nobodys(self.pattern)];
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..25 {
            for (path, times) in paths.iter().zip(&mut times) {
                let started = Instant::now();
                assert_eq!(self.call(path).await.status, StatusCode::NOT_FOUND, "{} {path}", self.method);
                times.push(started.elapsed());
            }
        }
        times.map(|mut times| {
            times.sort_unstable();
            times[times.len() / 2]
        })
    }
}

/// Whether an id of another tenant takes longer to be refused than one of nobody's, as far as a caller can measure. The same
/// statements find no row either way; what is left is noise, and what is no noise is there each time.
#[tokio::test(flavor = "multi_thread")]
async fn the_time_of_a_refusal_tells_nothing_of_what_exists() {
    let options = FleetOptions { workers: 0, periodic: false, ..FleetOptions::default() };
    let (fleet, acme, key) = Fleet::with(options, TenantOptions::default()).await;
    let owner = Person::logged_in(&fleet, &acme, UserRole::Owner, "dona").await;
    let other = TenantOptions { slug: "other", instances: vec!["filial".to_owned()], ..TenantOptions::default() };
    let other = fleet.tenant(&other).await;
    let theirs = Side::of(&fleet, other).await;
    let mut compared = 0;
    for (method, pattern, asks) in ROUTES {
        // A day and a type are no ids.
        if !names_something(pattern, *asks) || pattern.contains("{day}") || pattern.contains("{type}") {
            continue;
        }
        let method: Method = method.to_uppercase().parse().unwrap();
        let caller = Caller { method: &method, pattern, asks: *asks, owner: &owner, key: &key };
        let mut seen = Vec::new();
        let is_told = loop {
            let [their, nobodys] = caller.medians(&theirs.path(pattern)).await;
            seen.push((their, nobodys));
            if their < nobodys.mul_f64(1.5) && nobodys < their.mul_f64(1.5) {
                break false;
            }
            if seen.len() == 5 {
                break true;
            }
        };
        println!("{method} {pattern}: another's id and nobody's {seen:?}");
        assert!(!is_told, "{method} {pattern}: another's id and nobody's {seen:?}");
        compared += 1;
    }
    println!("the times of {compared} routes compared");
    assert!(compared > 10, "{compared}");
    fleet.end_unfinished().await;
}
