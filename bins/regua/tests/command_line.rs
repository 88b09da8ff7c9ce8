//! The program itself, as a person runs it: what it prints, how it ends, and that the README's first send works as it
//! stands.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use regua_boot::{DEVELOPMENT_SECRET_KEY, Place, SecretArguments, SecretKeys};
use regua_domain::{TenantId, UserId, UserRole};
use regua_tests::{Client, Database, Fleet, Person, TenantOptions, batch};
use reqwest::{Method, StatusCode};
use serde_json::Value;

fn regua(database: &Database, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_regua"));
    command.args(arguments).env("DATABASE_URL", &database.url).env_remove("AMQP_URL").current_dir(root());
    command.env("REGUA_SECRET_KEY", DEVELOPMENT_SECRET_KEY).env("GATEWAY_ALLOW_NETWORKS", "127.0.0.0/8");
    command.output().expect("regua runs")
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// What a command that must be done printed.
fn done(database: &Database, arguments: &[&str]) -> String {
    let output = regua(database, arguments);
    let (stdout, stderr) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{arguments:?}\n{stdout}\n{stderr}");
    stdout
}

/// What a command that must fail with this status said on standard error.
fn refused(database: &Database, status: i32, arguments: &[&str]) -> String {
    let output = regua(database, arguments);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(status), "{arguments:?}\n{stderr}");
    assert!(!stderr.is_empty() && !stderr.contains("panicked"), "{arguments:?}\n{stderr}");
    stderr
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_is_set_up_from_nothing() {
    let database = Database::fresh().await;
    done(&database, &["migrate"]);
    done(&database, &["tenant", "create", "acme", "--name", "Acme Ltda"]);
    let taken = refused(&database, 1, &["tenant", "create", "acme", "--name", "Outra"]);
    assert!(taken.contains("acme"), "{taken}");
    let gateway = ["--url", "http://127.0.0.1:9", "--token", "segredo-do-gateway"];
    done(&database, &[&["instance", "add", "--tenant", "acme", "--name", "matriz"], &gateway[..]].concat());
    let listed = done(&database, &["instance", "list", "--tenant", "acme", "--json"]);
    let instances: Value = serde_json::from_str(&listed).expect("--json is JSON");
    assert!(listed.contains("matriz") && !listed.contains("segredo-do-gateway"), "{instances:#}");
    done(&database, &["template", "import", "--tenant", "acme", "examples/cobranca-padrao.json"]);
    let bad = std::env::temp_dir().join(format!("regua-bad-template-{}.json", std::process::id()));
    let text = r#"{"name": "x", "type": "overdue", "variations": ["Olá\n{{#if nome}} sem fim"]}"#;
    std::fs::write(&bad, text).unwrap();
    let told = refused(&database, 1, &["template", "import", "--tenant", "acme", bad.to_str().unwrap()]);
    std::fs::remove_file(&bad).unwrap();
    assert!(told.contains("Line 2, column 1"), "it names the place: {told}");
    let key = done(&database, &["key", "create", "--tenant", "acme", "--types", "overdue"]);
    assert!(key.contains("regua_"), "{key}");
    let check = regua(&database, &["instance", "check", "--tenant", "acme"]);
    assert_eq!(check.status.code(), Some(1), "nothing listens there");
    done(&database, &["doctor", "--json"]);
    let webhook = ["instance", "webhook", "--tenant", "acme", "matriz", "--public-url", "http://127.0.0.1:8080"];
    let told = refused(&database, 1, &webhook);
    assert!(told.contains("gateway_unreachable"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_invited_and_what_was_done_is_written_down() {
    let database = Database::fresh().await;
    done(&database, &["tenant", "create", "acme", "--name", "Acme Ltda"]);
    let of = |arguments: &[&'static str]| [arguments, &["--tenant", "acme"]].concat();
    let person = ["user", "create", "--email", "Maria@acme.example", "--name", "Maria", "--role", "owner"];
    let invitation = done(&database, &of(&person));
    assert!(refused(&database, 1, &of(&person)).contains("maria@acme.example"));
    let people = done(&database, &of(&["user", "list"]));
    assert!(people.contains("maria@acme.example") && people.contains("invited"), "{people}");
    let person = ["user", "create", "--email", "rui@acme.example", "--name", "Rui", "--role", "viewer"];
    done(&database, &of(&person));
    done(&database, &of(&["user", "disable", "rui@acme.example"]));
    assert!(refused(&database, 1, &of(&["user", "disable", "ana@acme.example"])).contains("ana@acme.example"));

    let key = done(&database, &of(&["key", "create"]));
    let prefix: &'static str = key.split('_').nth(1).unwrap().to_owned().leak();
    let rotated = done(&database, &of(&["key", "rotate", prefix, "--overlap-hours", "0"]));
    assert!(rotated.starts_with("regua_") && rotated != key);
    done(&database, &of(&["key", "revoke", prefix]));
    let keys: Value = serde_json::from_str(&done(&database, &of(&["key", "list", "--json"]))).unwrap();
    let active: Vec<_> = keys.as_array().unwrap().iter().map(|key| key["active"].clone()).collect();
    assert_eq!(active, [true, false], "{keys:#}");

    let log = done(&database, &of(&["audit", "list", "--json"]));
    let entries: Value = serde_json::from_str(&log).unwrap();
    let told: Vec<_> = entries.as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect();
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
    assert_eq!(sorted(told), sorted(expected.to_vec()));
    assert!(entries.as_array().unwrap().iter().all(|entry| entry["actor_kind"] == "command_line"), "{log}");
    // A key is `regua_<prefix>_<secret>`, and the secret may have underscores of its own.
    let secret = |key: &str| key.trim().splitn(3, '_').nth(2).unwrap().to_owned();
    for secret in [secret(&key), secret(&rotated), invitation.trim().to_owned()] {
        assert!(!log.contains(&secret), "{log}");
    }
    let some = done(&database, &of(&["audit", "list", "--action", "user.updated"]));
    assert!(some.contains("command_line") && !some.contains("key."), "{some}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hours_and_closed_days_are_set_and_shown() {
    let database = Database::fresh().await;
    done(&database, &["tenant", "create", "acme", "--name", "Acme Ltda"]);
    let of = |arguments: &[&'static str]| [arguments, &["--tenant", "acme"]].concat();
    let shown = done(&database, &of(&["hours", "show"]));
    assert!(shown.contains("mon  08:00  18:00") && !shown.contains("sat"), "{shown}");
    let hours = ["hours", "set", "mon-tue=08:00-12:00", "mon=13:00-18:00", "sat=09:00-12:00"];
    let set = done(&database, &of(&hours));
    let lines: Vec<_> = set.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(lines, ["mon 08:00 12:00", "mon 13:00 18:00", "tue 08:00 12:00", "sat 09:00 12:00"]);
    assert_eq!(done(&database, &of(&["hours", "show"])), set);
    let told = refused(&database, 1, &of(&["hours", "set", "mon=08:00-12:00", "mon=11:00-18:00"]));
    assert!(told.contains("opens before another"), "{told}");
    assert!(refused(&database, 2, &of(&["hours", "set", "seg=08:00-12:00"])).contains("mon-fri=08:00-18:00"));
    refused(&database, 2, &of(&["hours", "set"]));

    done(&database, &of(&["holiday", "add", "2027-12-24", "--name", "Véspera de Natal"]));
    let days = done(&database, &of(&["holiday", "list", "--year", "2027"]));
    assert!(days.contains("2027-12-24  own       Véspera de Natal") && days.contains("2027-12-25  national"), "{days}");
    done(&database, &of(&["holiday", "remove", "2027-12-24"]));
    assert!(!done(&database, &of(&["holiday", "list", "--year", "2027"])).contains("2027-12-24"));
    refused(&database, 1, &of(&["holiday", "remove", "2027-12-24"]));
    refused(&database, 1, &of(&["holiday", "list", "--year", "1999"]));
    refused(&database, 2, &of(&["holiday", "add", "24/12/2027", "--name", "Véspera"]));
    let log = done(&database, &of(&["audit", "list"]));
    for action in ["hours.updated", "holiday.set", "holiday.removed"] {
        assert!(log.contains(action), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_commands_go_over_http_with_an_access_token() {
    let (fleet, tenant, _) = Fleet::with_tenant(TenantOptions::default()).await;
    let platform = Person::logged_in(&fleet, &tenant, UserRole::Platform, "plataforma").await;
    let owner = Person::logged_in(&fleet, &tenant, UserRole::Owner, "dona").await;
    let by = |person: &Person, arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_regua"));
        command.args(arguments).env_remove("DATABASE_URL").env("REGUA_URL", &fleet.api).current_dir(root());
        command.env("REGUA_ACCESS_TOKEN", person.bearer.as_deref().unwrap());
        let output = command.output().expect("regua runs");
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (status, _, told) = by(&platform, &["tenant", "create", "nova", "--name", "Nova Ltda"]);
    assert_eq!(status, Some(0), "{told}");
    let gateway = ["--url", &fleet.gateway, "--token", "token-da-nova"];
    let add = [&["instance", "add", "--tenant", "nova", "--name", "nova"], &gateway[..]].concat();
    let (status, added, told) = by(&platform, &add);
    assert!(status == Some(0) && added.contains("the tenant's default"), "{added}{told}");
    let (status, _, told) = by(&owner, &["template", "import", "--tenant", "acme", "examples/cobranca-padrao.json"]);
    assert_eq!(status, Some(0), "{told}");

    let (status, _, told) = by(&owner, &["tenant", "create", "minha", "--name", "Minha"]);
    assert!(status == Some(1) && told.contains("forbidden"), "{told}");
    let (status, _, told) = by(&owner, &["key", "list", "--tenant", "nova"]);
    assert!(status == Some(1) && told.contains("only somebody of the platform"), "{told}");
    let (status, _, told) = by(&platform, &["key", "list", "--tenant", "ninguem"]);
    assert!(status == Some(1) && told.contains("there is no tenant"), "{told}");

    let (_, log, told) = by(&platform, &["audit", "list", "--tenant", "nova", "--json"]);
    let entries: Value = serde_json::from_str(&log).expect(&told);
    let actors: Vec<_> = entries.as_array().unwrap().iter().map(|entry| entry["actor_name"].clone()).collect();
    assert_eq!(actors, [platform.email.as_str(); 2], "{log}");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_is_added_where_it_may_be_and_to_one_tenant() {
    let database = Database::fresh().await;
    for tenant in ["acme", "outra"] {
        done(&database, &["tenant", "create", tenant, "--name", tenant]);
    }
    let add = |tenant, url, networks| {
        let number = ["instance", "add", "--tenant", tenant, "--name", "matriz", "--token", "segredo-do-gateway"];
        [&number[..], &["--url", url, "--gateway-allow-networks", networks]].concat()
    };
    for url in ["http://169.254.169.254", "http://[::1]:8080", "http://2130706433", "http://10.0.0.7"] {
        let told = refused(&database, 1, &add("acme", url, ""));
        assert!(told.contains("GATEWAY_ALLOW_NETWORKS") && !told.contains("segredo"), "{told}");
    }
    assert!(refused(&database, 2, &add("acme", "http://10.0.0.7", "intranet")).contains("intranet"));
    done(&database, &add("acme", "http://10.0.0.7/", "10.0.0.0/8"));
    let told = refused(&database, 1, &add("outra", "http://10.0.0.7:80", "any"));
    assert!(told.contains("another tenant"), "{told}");
    done(&database, &add("outra", "http://10.0.0.8", "any"));
}

/// A command with these keys instead of the usual one.
fn with_keys(database: &Database, keys: [&str; 2], arguments: &[&str]) -> (Option<i32>, Value) {
    let keys = ["--secret-key", keys[0], "--old-secret-keys", keys[1], "--json"];
    let output = regua(database, &[arguments, &keys].concat());
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_plain_or_under_an_old_key_is_sealed_anew() {
    let database = Database::fresh().await;
    done(&database, &["tenant", "create", "acme", "--name", "Acme Ltda"]);
    for number in 0..3 {
        let name = format!("numero-{number}");
        let gateway = ["--url", "http://127.0.0.1:9", "--token", "segredo-do-gateway"];
        done(&database, &[&["instance", "add", "--tenant", "acme", "--name", &name], &gateway[..]].concat());
    }
    write(&database, "update instances set token = 'segredo-de-antes' where name = 'numero-0'").await;
    let (old, new) = (DEVELOPMENT_SECRET_KEY, "bm92YS1jaGF2ZS1ub3ZhLWNoYXZlLW5vdmEtMTIzNDU=");
    let secrets = |keys| {
        let (_, findings) = with_keys(&database, keys, &["doctor"]);
        let of_secrets = findings.as_array().unwrap().iter().filter(|one| one["check"] == "secrets");
        of_secrets.map(|one| format!("{} {}", one["health"], one["detail"])).collect::<Vec<_>>().join("; ")
    };
    assert_eq!(secrets([old, ""]), r#""warn" "1 secret not sealed: run `regua secrets rotate`""#);
    let found = secrets([new, old]);
    assert!(found.contains("1 secret not sealed") && found.contains("2 secrets under the old key"), "{found}");
    assert!(secrets([new, ""]).contains(r#""fail" "2 secrets under the key"#));

    // Without the old key only the plain one can be sealed, and the others are left as they are.
    let (status, told) = with_keys(&database, [new, ""], &["secrets", "rotate"]);
    assert_eq!((status, &told["sealed"], &told["resealed"]), (Some(1), &1.into(), &0.into()), "{told:#}");
    assert_eq!(told["unreadable"].as_object().unwrap().values().collect::<Vec<_>>(), [2], "{told:#}");
    let (status, told) = with_keys(&database, [new, old], &["secrets", "rotate"]);
    assert_eq!((status, &told["sealed"], &told["resealed"]), (Some(0), &0.into(), &2.into()), "{told:#}");
    let (status, told) = with_keys(&database, [new, old], &["secrets", "rotate"]);
    assert_eq!((status, &told["sealed"], &told["resealed"]), (Some(0), &0.into(), &0.into()), "{told:#}");
    assert_eq!(secrets([new, ""]), r#""ok" "all are sealed with the present key""#);

    // The token of another row does not open here.
    let copy =
        "update instances set token = (select token from instances where name = 'numero-1') where name = 'numero-2'";
    write(&database, copy).await;
    let (_, told) = with_keys(&database, [old, new], &["secrets", "rotate"]);
    let why = told["unreadable"].to_string();
    assert!(told["resealed"] == 2 && why.contains("another place"), "{told:#}");
    let told = refused(&database, 1, &["secrets", "rotate", "--secret-key", ""]);
    assert!(told.contains("REGUA_SECRET_KEY is not set"), "{told}");
}

async fn write(database: &Database, statement: &'static str) {
    #[expect(clippy::disallowed_methods, reason = "a test writes what no program does")]
    sqlx::query(statement).execute(&database.pool).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_seed_of_a_second_factor_is_sealed_anew_as_well() {
    let database = Database::fresh().await;
    done(&database, &["tenant", "create", "acme", "--name", "Acme Ltda"]);
    let invite = ["user", "create", "--tenant", "acme", "--email", "ana@acme.example", "--name", "Ana"];
    done(&database, &[&invite[..], &["--role", "owner"]].concat());
    #[expect(clippy::disallowed_methods, reason = "a test writes and reads what is kept")]
    let text = async |statement: &'static str, argument: &str| {
        sqlx::query_scalar::<_, String>(statement).bind(argument).fetch_one(&database.pool).await.unwrap()
    };
    let tenant =
        TenantId(text("select tenant_id::text from users where email = $1", "ana@acme.example").await.parse().unwrap());
    let user =
        UserId(text("select user_id::text from users where email = $1", "ana@acme.example").await.parse().unwrap());
    let place = Place::totp_seed(tenant, user);
    let seed = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";
    let sealed = SecretKeys::development().seal(&place, seed).unwrap();
    let kept = "update users set totp_seed = $1 returning totp_seed";
    text(kept, sealed.as_str()).await;

    let (old, new) = (DEVELOPMENT_SECRET_KEY, "bm92YS1jaGF2ZS1ub3ZhLWNoYXZlLW5vdmEtMTIzNDU=");
    let (status, told) = with_keys(&database, [new, ""], &["secrets", "rotate"]);
    assert_eq!((status, &told["resealed"]), (Some(1), &0.into()), "{told:#}");
    let (status, told) = with_keys(&database, [new, old], &["secrets", "rotate"]);
    assert_eq!((status, &told["resealed"]), (Some(0), &1.into()), "{told:#}");
    let keys = SecretArguments { secret_key: Some(new.to_owned()), old_secret_keys: None }.keys().unwrap();
    let resealed = text("select totp_seed from users where email = $1", "ana@acme.example").await;
    assert_eq!(keys.open(&place, &resealed).unwrap(), seed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_decides_by_the_reference_in_the_message() {
    let fleet = Fleet::with_tenant(TenantOptions::default()).await;
    let (fleet, tenant, erp) = fleet;
    let lost = regua_sandbox::Fault::every_send(regua_sandbox::Effect::TimedOut400);
    fleet.sandbox.set_faults(vec![lost]).unwrap();
    let queue = erp.accepted("overdue", &batch("lote-a", 1)).await;
    erp.until_that(&queue, "unconfirmed", |queue| queue["unconfirmed"] == 1).await;
    let reference = erp.contacts(&queue).await[0]["reference"].as_str().unwrap().to_owned();
    let call = |arguments: &[&str]| {
        let arguments: Vec<_> = [arguments, &["--url", &fleet.api, "--key", &tenant.key]].concat();
        regua(&fleet.database, &arguments.iter().map(|argument| &**argument).collect::<Vec<_>>())
    };
    let output = |output: &Output| String::from_utf8(output.stdout.clone()).unwrap();
    let shown = call(&["contact", "show", &reference]);
    assert!(output(&shown).contains("write_timed_out"), "{}", output(&shown));
    let given_up = call(&["contact", "give-up", &reference, "--by", "Ana", "--json"]);
    let contact: Value = serde_json::from_str(&output(&given_up)).unwrap();
    assert_eq!((&contact["status"], &contact["reason"]), (&"failed".into(), &"given_up".into()), "{contact:#}");
    let again = call(&["contact", "resend", &reference]);
    assert_eq!(again.status.code(), Some(1), "only an unconfirmed contact waits for a verdict");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_debtor_is_shown_and_erased_and_the_audit_log_does_not_say_who() {
    let (fleet, _, erp) = Fleet::with_tenant(TenantOptions::default()).await;
    let queue = erp.accepted("overdue", &batch("lote-a", 2)).await;
    erp.until(&queue, "completed").await;
    let call = |what: &str, who: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_regua"));
        command.args(["debtor", what, "--tenant", "acme"]).args(who).env("DATABASE_URL", &fleet.database.url);
        command.env("REGUA_SECRET_KEY", DEVELOPMENT_SECRET_KEY).output().expect("regua runs")
    };
    let said = |output: &Output| serde_json::from_slice::<Value>(&output.stdout).expect("JSON");
    let phone = regua_tests::number("lote-a", 0);
    let shown = said(&call("export", &["--phone", &phone]));
    assert_eq!(shown["contacts"][0]["external_id"], "lote-a-0", "{shown:#}");
    let erased = said(&call("erase", &["--external-id", "lote-a-0", "--reason", "consent_withdrawn"]));
    let expected = serde_json::json!({"erased": 1, "cancelled": 0, "being_sent": 0, "erased_before": 0});
    assert_eq!(erased, expected);
    let reason = "select count(*) from audit_log where after->>'reason' = 'consent_withdrawn'";
    assert_eq!(fleet.count(reason).await, 1);
    assert_eq!(call("erase", &["--external-id", "lote-a-0", "--reason", "because"]).status.code(), Some(2));
    let again = said(&call("export", &["--phone", &phone]));
    assert_eq!((&again["contacts"][0]["phone"], &again["contacts"][0]["status"]), (&"".into(), &"sent".into()));
    let wrong = call("erase", &["--phone", "123456"]);
    assert_eq!(wrong.status.code(), Some(2));
    let noted = "select count(*) from audit_log where actor_kind = 'command_line' and after::text not like '%lote-a%'
                 and after::text not like '%55119%'";
    assert_eq!(fleet.count(noted).await, 3);
    fleet.end_without_the_ledger().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_usage_is_2_and_what_cannot_be_done_is_1() {
    let database = Database::fresh().await;
    for arguments in [&["nonsense"][..], &["tenant", "create"], &["queue", "status", "no-uuid", "--key", "x"]] {
        refused(&database, 2, arguments);
    }
    refused(&database, 1, &["template", "import", "--tenant", "nobody", "examples/cobranca-padrao.json"]);
    refused(&database, 1, &["send", "overdue", "no-such-file.csv", "--key", "x"]);
}

/// A `regua dev` of its own, killed when dropped.
struct Dev {
    child: Child,
    /// Kept open, or its next line would find nobody.
    _stdout: Lines<BufReader<ChildStdout>>,
}

impl Dev {
    fn start(database: &Database, port: u16) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_regua"));
        command.args(["dev", "--port", &port.to_string()]);
        command.env("DATABASE_URL", &database.url).env_remove("AMQP_URL").current_dir(root());
        let mut child = command.stdout(Stdio::piped()).spawn().expect("regua dev starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("its output")).lines();
        // It prints its addresses when everything is up.
        let is_up = stdout.by_ref().map_while(Result::ok).any(|line| line.contains("/api/v1/billing"));
        assert!(is_up, "regua dev ended before it was up");
        Self { child, _stdout: stdout }
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _already_gone = self.child.kill();
        let _already_waited_for = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_send_of_the_readme_works_as_it_stands() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let (_, block) = readme.split_once("curl -sS http://127.0.0.1:8080").expect("the README's first send");
    let block = block.split("```").next().unwrap();
    let path = block.split_whitespace().next().unwrap();
    let key = block.split("X-Billing-API-Key: ").nth(1).unwrap().split('\'').next().unwrap();
    let file = block.split("-d @").nth(1).unwrap().split_whitespace().next().unwrap();

    let database = Database::fresh().await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let dev = Dev::start(&database, port);
    let erp = Client::new(&format!("http://127.0.0.1:{port}"), key);
    let body: Value = serde_json::from_slice(&std::fs::read(root().join(file)).unwrap()).unwrap();
    let first = erp.call(Method::POST, path, Some(&body)).await;
    assert_eq!(first.status, StatusCode::ACCEPTED, "{:#}", first.body);
    assert_eq!(first.body["rejected"], Value::Array(Vec::new()));
    let done = erp.until(first.body["queue_id"].as_str().unwrap(), "completed").await;
    assert_eq!(done["sent"], done["total"], "{done:#}");
    let again = erp.call(Method::POST, path, Some(&body)).await;
    assert_eq!((again.status, &again.body["replayed"]), (StatusCode::OK, &Value::Bool(true)));
    drop(dev);
}
