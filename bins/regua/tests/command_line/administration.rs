//! Commands that set up a tenant: inside the process with the database, and over HTTP with an access token.

use std::process::Command;

use regua_domain::UserRole;
use regua_tests::{Database, Fleet, TenantOptions, TestUser};
use serde_json::Value;
use sqlx::Executor;

use super::{refused, regua, root, succeeded};

#[tokio::test(flavor = "multi_thread")]
async fn tenant_is_set_up_in_an_empty_database() {
    let database = Database::fresh().await;
    succeeded(&database, &["migrate"]);
    succeeded(&database, &["tenant", "create", "acme", "--name", "Acme Ltda"]);
    let stderr = refused(&database, 1, &["tenant", "create", "acme", "--name", "Outra"]);
    assert!(stderr.contains("acme"), "{stderr}");
    let limit = ["tenant", "limit", "acme", "--max-requests-per-minute", "12000"];
    assert!(succeeded(&database, &limit).contains("12000 requests a minute"));
    let above = ["key", "create", "--tenant", "acme", "--requests-per-minute", "12001"];
    assert!(refused(&database, 1, &above).contains("12000"), "the refusal names the ceiling");
    let gateway = ["--url", "http://127.0.0.1:9", "--token", "segredo-do-gateway"];
    succeeded(&database, &[&["instance", "add", "--tenant", "acme", "--name", "matriz"], &gateway[..]].concat());
    let listed = succeeded(&database, &["instance", "list", "--tenant", "acme", "--json"]);
    let instances: Value = serde_json::from_str(&listed).expect("--json is JSON");
    assert!(listed.contains("matriz") && !listed.contains("segredo-do-gateway"), "{instances:#}");
    succeeded(&database, &["template", "import", "--tenant", "acme", "examples/cobranca-padrao.json"]);
    let bad = std::env::temp_dir().join(format!("regua-bad-template-{}.json", std::process::id()));
    let text = r#"{"name": "x", "type": "overdue", "variations": ["Olá\n{{#if nome}} sem fim"]}"#;
    std::fs::write(&bad, text).unwrap();
    let stderr = refused(&database, 1, &["template", "import", "--tenant", "acme", bad.to_str().unwrap()]);
    std::fs::remove_file(&bad).unwrap();
    assert!(stderr.contains("Line 2, column 1"), "the error names the place: {stderr}");
    let key = succeeded(&database, &["key", "create", "--tenant", "acme", "--types", "overdue"]);
    assert!(key.contains("regua_"), "{key}");
    let check = regua(&database, &["instance", "check", "--tenant", "acme"]);
    assert_eq!(check.status.code(), Some(1), "no gateway listens at the address");
    succeeded(&database, &["doctor", "--json"]);
    let webhook = ["instance", "webhook", "--tenant", "acme", "matriz", "--public-url", "http://127.0.0.1:8080"];
    let stderr = refused(&database, 1, &webhook);
    assert!(stderr.contains("gateway_unreachable"), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_users_and_keys_are_audited() {
    let database = Database::fresh().await;
    succeeded(&database, &["tenant", "create", "acme", "--name", "Acme Ltda"]);
    let of = |arguments: &[&'static str]| [arguments, &["--tenant", "acme"]].concat();
    let user = ["user", "create", "--email", "Maria@acme.example", "--name", "Maria", "--role", "owner"];
    let invitation = succeeded(&database, &of(&user));
    assert!(refused(&database, 1, &of(&user)).contains("maria@acme.example"));
    let users = succeeded(&database, &of(&["user", "list"]));
    assert!(users.contains("maria@acme.example") && users.contains("invited"), "{users}");
    let user = ["user", "create", "--email", "rui@acme.example", "--name", "Rui", "--role", "viewer"];
    succeeded(&database, &of(&user));
    succeeded(&database, &of(&["user", "disable", "rui@acme.example"]));
    assert!(refused(&database, 1, &of(&["user", "disable", "ana@acme.example"])).contains("ana@acme.example"));

    let key = succeeded(&database, &of(&["key", "create"]));
    let prefix: &'static str = key.split('_').nth(1).unwrap().to_owned().leak();
    let rotated = succeeded(&database, &of(&["key", "rotate", prefix, "--overlap-hours", "0"]));
    assert!(rotated.starts_with("regua_") && rotated != key);
    succeeded(&database, &of(&["key", "revoke", prefix]));
    let keys: Value = serde_json::from_str(&succeeded(&database, &of(&["key", "list", "--json"]))).unwrap();
    let active: Vec<_> = keys.as_array().unwrap().iter().map(|key| key["active"].clone()).collect();
    assert_eq!(active, [true, false], "{keys:#}");

    let log = succeeded(&database, &of(&["audit", "list", "--json"]));
    let entries: Value = serde_json::from_str(&log).unwrap();
    let actions: Vec<_> = entries.as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    let expected = [
        "key.revoked",
        "key.created",
        "key.rotated",
        "key.created",
        "user.updated",
        "user.invited",
        "user.invited",
        "tenant.created",
    ];
    let sorted = |mut actions: Vec<&str>| {
        actions.sort_unstable();
        actions.join(" ")
    };
    assert_eq!(sorted(actions), sorted(expected.to_vec()));
    assert!(entries.as_array().unwrap().iter().all(|entry| entry["actor_kind"] == "command_line"), "{log}");
    // A key is `regua_<prefix>_<secret>`, and the secret may contain underscores.
    let secret = |key: &str| key.trim().splitn(3, '_').nth(2).unwrap().to_owned();
    for secret in [secret(&key), secret(&rotated), invitation.trim().to_owned()] {
        assert!(!log.contains(&secret), "{log}");
    }
    let filtered = succeeded(&database, &of(&["audit", "list", "--action", "user.updated"]));
    assert!(filtered.contains("command_line") && !filtered.contains("key."), "{filtered}");
}

#[tokio::test(flavor = "multi_thread")]
async fn audit_log_is_listed_across_pages() {
    let database = Database::fresh().await;
    succeeded(&database, &["tenant", "create", "acme", "--name", "Acme Ltda"]);
    #[expect(clippy::disallowed_methods, reason = "a test writes to the tables directly")]
    let insert = sqlx::query(
        "insert into audit_log (tenant_id, audit_id, at, actor_kind, actor_name, request_id, action)
         select tenant_id, gen_random_uuid(), now(), 'user', 'ana', 'r', 'key.created'
         from tenants, generate_series(1, 130)",
    );
    insert.execute(&database.pool).await.unwrap();
    let log = succeeded(&database, &["audit", "list", "--tenant", "acme", "--limit", "120", "--json"]);
    let entries: Value = serde_json::from_str(&log).unwrap();
    assert_eq!(entries.as_array().unwrap().len(), 120, "a page of the API has at most 100 entries");
}

#[tokio::test(flavor = "multi_thread")]
async fn business_hours_and_holidays_are_set_and_shown() {
    let database = Database::fresh().await;
    succeeded(&database, &["tenant", "create", "acme", "--name", "Acme Ltda"]);
    let of = |arguments: &[&'static str]| [arguments, &["--tenant", "acme"]].concat();
    let shown = succeeded(&database, &of(&["hours", "show"]));
    assert!(shown.contains("mon  08:00  18:00") && !shown.contains("sat"), "{shown}");
    let hours = ["hours", "set", "mon-tue=08:00-12:00", "mon=13:00-18:00", "sat=09:00-12:00"];
    let set = succeeded(&database, &of(&hours));
    let lines: Vec<_> = set.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(lines, ["mon 08:00 12:00", "mon 13:00 18:00", "tue 08:00 12:00", "sat 09:00 12:00"]);
    assert_eq!(succeeded(&database, &of(&["hours", "show"])), set);
    let stderr = refused(&database, 1, &of(&["hours", "set", "mon=08:00-12:00", "mon=11:00-18:00"]));
    assert!(stderr.contains("begins before another"), "{stderr}");
    assert!(refused(&database, 2, &of(&["hours", "set", "seg=08:00-12:00"])).contains("mon-fri=08:00-18:00"));
    refused(&database, 2, &of(&["hours", "set"]));

    succeeded(&database, &of(&["holiday", "add", "2027-12-24", "--name", "Véspera de Natal"]));
    let days = succeeded(&database, &of(&["holiday", "list", "--year", "2027"]));
    assert!(days.contains("2027-12-24  own       Véspera de Natal") && days.contains("2027-12-25  national"), "{days}");
    succeeded(&database, &of(&["holiday", "remove", "2027-12-24"]));
    assert!(!succeeded(&database, &of(&["holiday", "list", "--year", "2027"])).contains("2027-12-24"));
    refused(&database, 1, &of(&["holiday", "remove", "2027-12-24"]));
    refused(&database, 1, &of(&["holiday", "list", "--year", "1999"]));
    refused(&database, 2, &of(&["holiday", "add", "24/12/2027", "--name", "Véspera"]));
    let log = succeeded(&database, &of(&["audit", "list"]));
    for action in ["hours.updated", "holiday.set", "holiday.removed"] {
        assert!(log.contains(action), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn admin_commands_work_over_http_with_an_access_token() {
    let (fleet, tenant, _) = Fleet::with_tenant(TenantOptions::default()).await;
    let platform = TestUser::logged_in(&fleet, &tenant, UserRole::Platform, "plataforma").await;
    let owner = TestUser::logged_in(&fleet, &tenant, UserRole::Owner, "dona").await;
    let run_as = |user: &TestUser, arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_regua"));
        command.args(arguments).env_remove("DATABASE_URL").env("REGUA_URL", &fleet.api).current_dir(root());
        command.env("REGUA_ACCESS_TOKEN", user.bearer.as_deref().unwrap());
        let output = command.output().expect("regua runs");
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (status, _, stderr) = run_as(&platform, &["tenant", "create", "nova", "--name", "Nova Ltda"]);
    assert_eq!(status, Some(0), "{stderr}");
    let gateway = ["--url", &fleet.gateway, "--token", "token-da-nova"];
    let add = [&["instance", "add", "--tenant", "nova", "--name", "nova"], &gateway[..]].concat();
    let (status, added, stderr) = run_as(&platform, &add);
    assert!(status == Some(0) && added.contains("the tenant's default"), "{added}{stderr}");
    let (status, _, stderr) =
        run_as(&owner, &["template", "import", "--tenant", "acme", "examples/cobranca-padrao.json"]);
    assert_eq!(status, Some(0), "{stderr}");

    let (status, _, stderr) = run_as(&owner, &["tenant", "create", "minha", "--name", "Minha"]);
    assert!(status == Some(1) && stderr.contains("forbidden"), "{stderr}");
    let (status, _, stderr) = run_as(&owner, &["key", "list", "--tenant", "nova"]);
    assert!(status == Some(1) && stderr.contains("only a platform user"), "{stderr}");
    let (status, _, stderr) = run_as(&platform, &["key", "list", "--tenant", "ninguem"]);
    assert!(status == Some(1) && stderr.contains("there is no tenant"), "{stderr}");

    let (_, log, stderr) = run_as(&platform, &["audit", "list", "--tenant", "nova", "--json"]);
    let entries: Value = serde_json::from_str(&log).expect(&stderr);
    let actors: Vec<_> = entries.as_array().unwrap().iter().map(|entry| entry["actor_name"].clone()).collect();
    assert_eq!(actors, [platform.email.as_str(); 2], "{log}");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gateway_address_is_checked_and_belongs_to_one_tenant() {
    let database = Database::fresh().await;
    for tenant in ["acme", "outra"] {
        succeeded(&database, &["tenant", "create", tenant, "--name", tenant]);
    }
    let add = |tenant, url, networks| {
        let command = ["instance", "add", "--tenant", tenant, "--name", "matriz", "--token", "segredo-do-gateway"];
        [&command[..], &["--url", url, "--gateway-allow-networks", networks]].concat()
    };
    for url in ["http://169.254.169.254", "http://[::1]:8080", "http://2130706433", "http://10.0.0.7"] {
        let stderr = refused(&database, 1, &add("acme", url, ""));
        assert!(stderr.contains("GATEWAY_ALLOW_NETWORKS") && !stderr.contains("segredo"), "{stderr}");
    }
    assert!(refused(&database, 2, &add("acme", "http://10.0.0.7", "intranet")).contains("intranet"));
    succeeded(&database, &add("acme", "http://10.0.0.7/", "10.0.0.0/8"));
    database.pool.execute("update instances set verified_at = now()").await.unwrap();
    let stderr = refused(&database, 1, &add("outra", "http://10.0.0.7:80", "any"));
    assert!(stderr.contains("Another tenant"), "{stderr}");
    succeeded(&database, &add("outra", "http://10.0.0.8", "any"));
}
