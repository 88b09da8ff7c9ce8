//! Callers without a valid credential share one budget, and cannot crowd out the others.

use regua_domain::UserRole;
use regua_tests::{Answer, Client, Fleet, TenantOptions, TestUser, eventually};
use reqwest::{Method, StatusCode};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

use super::{burst_only, count, list_queues, list_queues_repeatedly, only_the_api, unknown_key};

/// Sends the head of a login and the first byte of its body.
async fn begin_login(fleet: &Fleet, address: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{address}:0").parse().unwrap()).unwrap();
    let mut stream = socket.connect(fleet.api.trim_start_matches("http://").parse().unwrap()).await.unwrap();
    let head = "POST /api/v1/auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
                Content-Length: 200\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

fn code(answer: &Answer) -> &str {
    answer.body["code"].as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_logins_exhaust_the_budget_of_callers_without_a_credential_only() {
    // A quarter of 32 is for them: four for strangers, one of an address, and four for known clients.
    let options = only_the_api(|api| api.limits.concurrent_requests = 32);
    let (fleet, tenant, client) = Fleet::with(options, TenantOptions::default()).await;
    let ana = TestUser::logged_in(&fleet, &tenant, UserRole::Viewer, "ana").await;
    assert_eq!(list_queues(&client).await.status, StatusCode::OK);
    let mut slow = Vec::new();
    let stranger = ana.from_address("127.0.9.9").without_credentials();
    // A login of the stranger holds a permit itself, so a slow one can be refused meanwhile: the loop begins more.
    eventually("the strangers' budget to be used up", async || {
        for number in 1..=4 {
            slow.push(begin_login(&fleet, &format!("127.0.9.{number}")).await);
        }
        stranger.try_login("outra senha qualquer", None).await.status == StatusCode::SERVICE_UNAVAILABLE
    })
    .await;
    let refused = stranger.try_login("outra senha qualquer", None).await;
    assert_eq!((code(&refused), refused.headers["retry-after"].to_str().unwrap()), ("overloaded", "1"));
    let second = ana.from_address("127.0.9.1").without_credentials().try_login("outra senha qualquer", None).await;
    assert_eq!(code(&second), "rate_limited", "the address has used up its own part");
    let unknown = client.with_key(&unknown_key(1)).from_address("127.0.9.9".parse().unwrap());
    assert_eq!(code(&list_queues(&unknown).await), "overloaded", "unknown keys belong to the budget");

    assert_eq!(count(&list_queues_repeatedly(&client, 20).await, StatusCode::OK), 20);
    assert_eq!(ana.get("/api/v1/auth/me").await.status, StatusCode::OK);
    assert_eq!(ana.try_login(regua_tests::PASSWORD, None).await.status, StatusCode::OK, "from a known address");
    drop(slow);
    eventually("the permits to be free again", async || {
        stranger.try_login("outra senha qualquer", None).await.status == StatusCode::UNAUTHORIZED
    })
    .await;
    fleet.end().await;
}

#[tokio::test]
async fn unknown_routes_and_wrong_methods_are_limited_by_address() {
    let options = only_the_api(|api| api.limits.per_address = Some(burst_only(5)));
    let (fleet, _, client) = Fleet::with(options, TenantOptions::default()).await;
    let bare = Client::new(&fleet.api, "");
    let paths = [(404, "/nowhere"), (405, "/api/v1/billing/queues"), (405, "/api/v1/admin/keys"), (405, "/healthz")];
    for (number, (status, path)) in (1..).zip(paths) {
        let bare = bare.from_address([127, 0, 9, number].into());
        let mut statuses = Vec::new();
        for _ in 0..7 {
            statuses.push(bare.call(Method::PATCH, path, None).await.status.as_u16());
        }
        assert_eq!(statuses, [[status; 5].as_slice(), &[429; 2]].concat(), "{path}");
    }
    assert_eq!(count(&list_queues_repeatedly(&client, 5).await, StatusCode::OK), 5);
    fleet.end().await;
}

#[tokio::test]
async fn webhook_address_that_names_no_instance_is_charged_as_a_failure() {
    let options = only_the_api(|api| api.limits.refused_keys = burst_only(3));
    let (fleet, ..) = Fleet::with(options, TenantOptions::default()).await;
    let bare = Client::new(&fleet.api, "");
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(bare.call(Method::POST, "/webhooks/evolution/a/b", None).await.status.as_u16());
    }
    assert_eq!(statuses, [401, 401, 401, 429, 429]);
    fleet.end().await;
}

#[tokio::test]
async fn failures_of_ipv6_addresses_are_counted_by_64_56_and_48() {
    let options = only_the_api(|api| {
        api.limits.refused_keys = burst_only(2);
        api.limits.trusted_proxies = "127.0.0.0/8".parse().unwrap();
    });
    let (fleet, _, client) = Fleet::with(options, TenantOptions::default()).await;
    let client = client.with_key(&unknown_key(1));
    let from = async |address: String| {
        let request = client.request(Method::GET, "/api/v1/billing/queues");
        Client::answer(request.header("X-Forwarded-For", address)).await.status.as_u16()
    };
    let mut of_one_64 = Vec::new();
    for host in 1..=3 {
        of_one_64.push(from(format!("2001:db8:0:0:{host}::1")).await);
    }
    assert_eq!(of_one_64, [401, 401, 429]);
    let mut of_one_56 = Vec::new();
    for site in 1..=10 {
        of_one_56.push(from(format!("2001:db8:0:{site:x}::1")).await);
    }
    assert_eq!((count(&of_one_56, StatusCode::UNAUTHORIZED), of_one_56[9]), (6, 429), "four times that of a /64");
    let mut of_one_48 = Vec::new();
    for site in 1..=30 {
        of_one_48.push(from(format!("2001:db8:0:{site:x}00::1")).await);
    }
    assert_eq!((count(&of_one_48, StatusCode::UNAUTHORIZED), of_one_48[29]), (24, 429), "sixteen times that of a /64");
    assert_eq!(from("2001:db8:1::1".to_owned()).await, 401, "another /48");
    fleet.end().await;
}
