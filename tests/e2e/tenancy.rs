//! The tables can be sharded by tenant: every statement that touches a tenant's table is bound to tenants by a parameter,
//! or stands here with its reason. Read from `.sqlx`, where the compiler keeps every statement of the tree. And where many
//! tenants are worked for at once, one of them does not hold the others up.

use std::collections::BTreeSet;
use std::path::Path;

use regua_boot::SecretKeys;
use regua_evolution::EvolutionClient;
use regua_store::tenant_configs;
use regua_tests::{Fleet, FleetOptions, TenantOptions};
use regua_worker::WorkerSettings;
use regua_worker::protocol::{Ending, Process};

/// A piece of a statement that is bound to no tenant, and why it may be so.
const UNBOUND: [(&str, &str); 33] = [
    // Periodic looks at all tenants, because nobody tells it whose hour has come. What it finds it touches by tenant_id.
    ("from queues where status = 'scheduled'", "scheduled_batches: one scan by a partial index, bounded"),
    ("from queues where status = 'paused_hours'", "resume_at_hour: the same"),
    ("where leased_by is not null and lease_expires_at < now() and", "stale_leases: the same"),
    ("with waiting as materialized ( select distinct on", "unattended_lanes: the same"),
    ("from instances where next_check_at <= $1", "instance_recovery: the same"),
    ("with stuck as materialized", "instance_recovery: queues whose number is open again"),
    ("with finished as materialized", "completion: the same"),
    ("from attempts where next_look_at <= $1", "unconfirmed: attempts that are to be looked for"),
    ("from webhook_events where next_match_at <= $1", "webhooks: events that are to be matched"),
    ("from contacts where erasure_asked_at is not null and erased_at is null and", "erasures: the same"),
    ("due.erased_at is null and due.finished_at <", "retention: one finished queue that is old enough"),
    ("due.erased_at is not null and due.finished_at <", "retention: one batch whose proof is old enough"),
    ("select tenant_id, session_id from sessions where expires_at", "retention: sessions that are long over"),
    ("select tenant_id, email, network from login_failures where since", "retention: wrong passwords that are"),
    ("delete from dead_letters where died_at", "retention: dead letters that are"),
    // Workers share the lanes of all tenants. What one takes it touches by tenant_id.
    ("from workers w where w.expires_at >= now()", "sharing: how many lanes each worker holds"),
    ("with offered as materialized ( select tenant_id, instance_id from lanes", "sharing: lanes that were let go"),
    ("from lanes where offered_at is not null", "sharing: how many lanes were let go"),
    // Every process rings and hears for all tenants.
    ("from outbox where routing_key = any($1)", "the relay takes what waits, most urgent first"),
    ("select count(*) as \"count!\" from outbox", "a gauge of periodic, and regua doctor"),
    ("select tenant_id, status, count(*) as \"count!\" from queues", "a gauge of periodic"),
    // What comes in says who it is, and not whose.
    ("from api_keys k join tenants t using (tenant_id) join tenant_configs c using", "an API key names its tenant"),
    ("from tenants where slug = $1", "an operator names the tenant"),
    ("from tenants where slug > $1", "somebody of the platform lists all tenants"),
    // An operator's commands are about all tenants.
    ("where name = $3 and lower(rtrim(base_url, '/'))", "whoever adds a number: it belongs to one tenant"),
    ("from instances where not starts_with(token", "regua secrets rotate: pages by primary key"),
    // regua doctor looks at everything.
    ("from users where not starts_with(totp_seed", "regua secrets rotate: the same"),
    ("select substring(secret from", "regua doctor: how secrets are sealed"),
    ("from outbox", "regua doctor: the age of the oldest doorbell"),
    ("from dead_letters", "regua doctor: how many there are"),
    (
        "from lanes where leased_by is not null and lease_expires_at < now() - $1",
        "regua doctor: lanes nobody took over",
    ),
    ("from instances i join tenants t using (tenant_id) where i.state not in", "regua doctor: numbers that are down"),
    ("from queues q left join (select tenant_id, queue_id, count(*) as total", "regua doctor: counts that are wrong"),
];

/// Tables of the platform, which say nothing of any tenant. On a sharded PostgreSQL they are reference tables.
const OF_NO_TENANT: &[&str] = &["workers"];

/// How a statement is bound: to one tenant, or to several that the caller names.
const BINDINGS: [&str; 3] = ["tenant_id = $", "tenant_id = any($", "unnest($1::uuid[]"];

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Every table of the migrations that is the tenants'.
fn tables() -> BTreeSet<String> {
    let folder = std::fs::read_dir(root().join("migrations")).unwrap();
    let text: String = folder.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect();
    let names = text.split("create table ").skip(1);
    let names = names.map(|rest| rest.split([' ', '(', '\n']).next().unwrap().to_owned());
    names.filter(|name| !OF_NO_TENANT.contains(&name.as_str())).collect()
}

/// Every statement, with single spaces.
fn statements() -> Vec<String> {
    let folder = std::fs::read_dir(root().join(".sqlx")).unwrap();
    let read = |file: std::io::Result<std::fs::DirEntry>| {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let described: serde_json::Value = serde_json::from_str(&text).unwrap();
        let statement = described["query"].as_str().unwrap().to_owned();
        statement.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    folder.map(read).collect()
}

fn touches(statement: &str, tables: &BTreeSet<String>) -> bool {
    let words: Vec<_> = statement.split([' ', '(', ')', ',']).collect();
    words
        .windows(2)
        .any(|pair| ["from", "join", "into", "update", "using"].contains(&pair[0]) && tables.contains(pair[1]))
}

/// A row that is written says whose it is in its first column.
fn is_bound(statement: &str) -> bool {
    let writes = statement.strip_prefix("insert into ").and_then(|rest| rest.split_once(" (tenant_id"));
    writes.is_some_and(|(table, _)| !table.contains(' ')) || BINDINGS.iter().any(|binding| statement.contains(binding))
}

#[test]
fn every_statement_is_bound_to_its_tenants_or_says_why_not() {
    let (tables, statements) = (tables(), statements());
    assert!(tables.len() > 15 && statements.len() > 100, "{tables:?}, {} statements", statements.len());
    let mut used = BTreeSet::new();
    for statement in statements.iter().filter(|statement| touches(statement, &tables) && !is_bound(statement)) {
        let allowed = UNBOUND.iter().position(|(piece, _)| statement.contains(piece));
        let allowed =
            allowed.unwrap_or_else(|| panic!("this is bound to no tenant, and nobody says why:\n{statement}"));
        used.insert(allowed);
    }
    for (index, (piece, _)) in UNBOUND.iter().enumerate() {
        assert!(used.contains(&index), "no statement has {piece:?} any more: take it off the list");
    }
}

#[test]
fn every_primary_key_begins_with_the_tenant() {
    let folder = std::fs::read_dir(root().join("migrations")).unwrap();
    let text: String = folder.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect();
    for table in text.split("create table ").skip(1) {
        let name = table.split([' ', '(']).next().unwrap();
        let body = table.split("\n)").next().unwrap();
        let keeps = body.lines().any(|line| {
            let line = line.trim();
            line.starts_with("primary key (tenant_id")
                || (line.starts_with("tenant_id ") && line.contains("primary key"))
        });
        assert!(keeps || OF_NO_TENANT.contains(&name), "the primary key of {name} does not begin with tenant_id");
    }
}

/// The worker reads the rules of many lanes at once. On one thread both questions are there before anybody reads.
#[tokio::test]
async fn a_tenant_whose_rules_cannot_be_read_holds_nobody_else_up() {
    let options = FleetOptions { workers: 0, periodic: false, ..FleetOptions::default() };
    let (fleet, broken, _) = Fleet::with(options, TenantOptions::default()).await;
    let name = "filial".to_owned();
    let sound = fleet.tenant(&TenantOptions { slug: "sound", instances: vec![name], ..TenantOptions::default() }).await;
    let (pool, clock) = (fleet.database.pool.clone(), fleet.clock.clone());
    let gateway = EvolutionClient::new(regua_tests::gateway_settings()).unwrap();
    let settings = WorkerSettings::named("w".to_owned());
    let keys = SecretKeys::development();
    let worker = Process::new(pool.clone(), clock, fleet.metrics.clone(), gateway, keys, settings);
    let mut of_broken = worker.take(broken.id, broken.instances[0]).await.unwrap().unwrap();
    let mut of_sound = worker.take(sound.id, sound.instances[0]).await.unwrap().unwrap();
    let set_zone = async |zone: &'static str| {
        let mut config = tenant_configs::get(&mut pool.acquire().await.unwrap(), broken.id).await.unwrap().unwrap();
        zone.clone_into(&mut config.time_zone);
        tenant_configs::put(&mut pool.acquire().await.unwrap(), broken.id, &config).await.unwrap();
    };
    set_zone("Nowhere/At_All").await;

    let (refused, read) = tokio::join!(of_broken.concurrency(), of_sound.concurrency());
    assert!(refused.is_err(), "a zone that does not exist");
    assert_eq!(read.unwrap(), 1);

    set_zone("America/Sao_Paulo").await;
    assert_eq!(of_broken.concurrency().await.unwrap(), 1);
    for mut session in [of_broken, of_sound] {
        assert!(session.let_go(Ending::LOST).await.unwrap());
    }
    drop(worker);
    fleet.end().await;
}
