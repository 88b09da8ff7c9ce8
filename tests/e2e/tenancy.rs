//! The tables can be sharded by tenant: every statement on a tenant's table (from `.sqlx`) is bound to tenants by a
//! parameter, or is listed here with its reason. A tenant with an unreadable configuration does not delay other
//! tenants.

use std::collections::BTreeSet;
use std::path::Path;

use regua_evolution::EvolutionClient;
use regua_secrets::SecretKeys;
use regua_store::tenant_configs;
use regua_tests::{Fleet, FleetOptions, TenantOptions};
use regua_worker::WorkerSettings;
use regua_worker::harness::{ManualWorker, StopReason};

/// Parts of statements that are bound to no tenant, each with its reason.
const UNBOUND: [(&str, &str); 37] = [
    // Periodic reads due rows of all tenants, and changes them by tenant_id.
    ("from queues q where q.status = 'scheduled'", "scheduled_batches: one scan by a partial index, bounded"),
    ("from queues q where q.status = 'paused_hours'", "resume_at_hour: the same"),
    ("where leased_by is not null and lease_expires_at < now() and", "stale_leases: the same"),
    ("with waiting as materialized ( select distinct on", "unattended_lanes: the same"),
    ("from instances where next_check_at <= $1", "instance_recovery: the same"),
    (
        "using (tenant_id, instance_id) where q.status = 'instance_down'",
        "instance_recovery: queues whose instance is open again",
    ),
    ("with finished as materialized", "completion: the same"),
    ("from attempts where next_look_at <= $1", "unconfirmed: attempts that are to be looked for"),
    (
        "from webhook_events where source = 'evolution' and next_match_at <= $1",
        "webhooks: events that are to be matched",
    ),
    ("from webhook_events where source = $1", "webhooks: when the next event is due"),
    ("from contacts where erasure_asked_at is not null and erased_at is null and", "erasures: the same"),
    ("due.erased_at is null and due.finished_at <", "retention: one finished queue that is old enough"),
    ("due.erased_at is not null and due.finished_at <", "retention: one batch whose proof is old enough"),
    ("select tenant_id, session_id from sessions where expires_at", "retention: old sessions"),
    ("select tenant_id, email, network from login_failures where since", "retention: old login failures"),
    ("from template_versions where replaced_at <", "retention: old texts of templates"),
    ("delete from dead_letters where died_at", "retention: old dead letters"),
    ("update dead_letters set body = '{}' where died_at", "retention: old bodies of webhook events"),
    ("with tenant as materialized ( select o.tenant_id from tenant_configs o", "old_events: of one tenant, by its key"),
    // Workers distribute the lanes of all tenants, and change a lane by tenant_id.
    ("from workers w where w.expires_at >= now()", "rebalance: the number of lanes of each worker"),
    ("with offered as materialized ( select tenant_id, instance_id from lanes", "rebalance: offered lanes"),
    ("from lanes where offered_at is not null", "rebalance: the number of offered lanes"),
    // Every process publishes and receives doorbells of all tenants.
    ("from doorbells where routing_key = any($1)", "the relay reads unpublished doorbells, most urgent first"),
    ("select count(*) as \"count!\" from doorbells", "a gauge of periodic, and regua doctor"),
    ("count(*) as \"count!\" from queues", "a gauge of periodic"),
    // The caller presents a key or a slug; the tenant follows from it.
    ("from api_keys k join tenants t using (tenant_id) join tenant_configs c using", "an API key names its tenant"),
    ("from tenants where slug = $1", "an operator names the tenant"),
    ("from tenants where slug > $1", "a platform user lists all tenants"),
    // Commands and checks about all tenants.
    ("select base_url from instances where name = $2", "a new instance must belong to one tenant"),
    ("from instances where not starts_with(token", "regua secrets rotate: pages by primary key"),
    // regua doctor reads all tenants.
    ("from users where not starts_with(totp_seed", "regua secrets rotate: the same"),
    ("select substring(secret from", "regua doctor: how secrets are sealed"),
    ("from doorbells", "regua doctor: the age of the oldest doorbell"),
    ("from dead_letters", "regua doctor: how many there are"),
    (
        "from lanes where leased_by is not null and lease_expires_at < now() - $1",
        "regua doctor: lanes that no worker took over",
    ),
    ("from instances i join tenants t using (tenant_id) where i.state not in", "regua doctor: instances that are down"),
    ("from queues q left join (select tenant_id, queue_id, count(*) as total", "regua doctor: counts that are wrong"),
];

/// Tables of the platform, without rows of tenants. On a sharded PostgreSQL they are reference tables.
const OF_NO_TENANT: &[&str] = &["workers"];

/// How a statement is bound: to one tenant, or to several that the caller names.
const BINDINGS: [&str; 3] = ["tenant_id = $", "tenant_id = any($", "unnest($1::uuid[]"];

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// All migrations, without their README.
fn migrations() -> String {
    let files = std::fs::read_dir(root().join("migrations")).unwrap().map(|file| file.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "sql"));
    files.map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

/// Every table of the migrations with rows of tenants.
fn tables() -> BTreeSet<String> {
    let text = migrations();
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

/// An insert is bound if `tenant_id` is its first column.
fn is_bound(statement: &str) -> bool {
    let writes = statement.strip_prefix("insert into ").and_then(|rest| rest.split_once(" (tenant_id"));
    writes.is_some_and(|(table, _)| !table.contains(' ')) || BINDINGS.iter().any(|binding| statement.contains(binding))
}

#[test]
fn every_statement_is_bound_to_tenants_or_has_a_reason() {
    let (tables, statements) = (tables(), statements());
    assert!(tables.len() > 15 && statements.len() > 100, "{tables:?}, {} statements", statements.len());
    let mut used = BTreeSet::new();
    for statement in statements.iter().filter(|statement| touches(statement, &tables) && !is_bound(statement)) {
        let allowed = UNBOUND.iter().position(|(piece, _)| statement.contains(piece));
        let allowed =
            allowed.unwrap_or_else(|| panic!("this statement is bound to no tenant and not listed:\n{statement}"));
        used.insert(allowed);
    }
    for (index, (piece, _)) in UNBOUND.iter().enumerate() {
        assert!(used.contains(&index), "no statement contains {piece:?}: remove it from the list");
    }
}

#[test]
fn every_primary_key_begins_with_tenant_id() {
    for table in migrations().split("create table ").skip(1) {
        let name = table.split([' ', '(']).next().unwrap();
        let body = table.split("\n)").next().unwrap();
        let is_bound = body.lines().any(|line| {
            let line = line.trim();
            line.starts_with("primary key (tenant_id")
                || (line.starts_with("tenant_id ") && line.contains("primary key"))
        });
        assert!(is_bound || OF_NO_TENANT.contains(&name), "the primary key of {name} does not begin with tenant_id");
    }
}

/// The worker reads the configs of many lanes in one batch. On one thread both requests wait before the batch is read.
#[tokio::test]
async fn tenant_with_unreadable_config_does_not_delay_other_tenants() {
    let options = FleetOptions { workers: 0, periodic: false, ..FleetOptions::default() };
    let (fleet, faulty, _) = Fleet::with(options, TenantOptions::default()).await;
    let name = "filial".to_owned();
    let sound =
        fleet.create_tenant(&TenantOptions { slug: "sound", instances: vec![name], ..TenantOptions::default() }).await;
    let (pool, clock) = (fleet.database.pool.clone(), fleet.clock.clone());
    let gateway = EvolutionClient::new(regua_tests::gateway_settings()).unwrap();
    let settings = WorkerSettings::named("w".to_owned());
    let keys = SecretKeys::development();
    let worker = ManualWorker::new(pool.clone(), clock, fleet.metrics.worker.clone(), gateway, keys, settings);
    let mut faulty_lane = worker.acquire(faulty.id, faulty.instances[0]).await.unwrap().unwrap();
    let mut sound_lane = worker.acquire(sound.id, sound.instances[0]).await.unwrap().unwrap();
    let set_zone = async |zone: &'static str| {
        let mut config = tenant_configs::get(&mut pool.acquire().await.unwrap(), faulty.id).await.unwrap().unwrap();
        zone.clone_into(&mut config.time_zone);
        tenant_configs::put(&mut pool.acquire().await.unwrap(), &config).await.unwrap();
    };
    set_zone("Nowhere/At_All").await;

    let (refused, read) = tokio::join!(faulty_lane.concurrency(), sound_lane.concurrency());
    assert!(refused.is_err(), "the time zone does not exist");
    assert_eq!(read.unwrap(), 1);

    set_zone("America/Sao_Paulo").await;
    assert_eq!(faulty_lane.concurrency().await.unwrap(), 1);
    for mut session in [faulty_lane, sound_lane] {
        assert!(session.release(StopReason::LEASE_LOST).await.unwrap());
    }
    drop(worker);
    fleet.end().await;
}
