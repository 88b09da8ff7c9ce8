//! What is looked at in the database, thing by thing.

use std::time::Duration;

use regua_boot::{Clock, SecretArguments};
use regua_store::{dead_letters, instances, lanes, outbox, queues, sealed_secrets, server};
use sqlx::{Connection, PgConnection};

use super::Finding;
use crate::database;
use crate::output::counted;

/// The oldest PostgreSQL whose behaviour is tested.
const OLDEST_VERSION: i32 = 150_000;
/// A doorbell is published, or heard, within a second or two.
const LATE_SECONDS: i64 = 60;
/// A lease that ran out is taken over within a few seconds.
const OVERRUN: Duration = Duration::from_secs(15);
/// Miscounted queues that are looked for at once.
const BOUND: i64 = 1000;

type Findings = anyhow::Result<Vec<Finding>>;

/// The version, and whether what is committed stays.
pub(super) async fn server(conn: &mut PgConnection) -> Findings {
    let server = server::about(conn).await?;
    let answers = format!("PostgreSQL {} answers", server.version);
    let mut findings = vec![if server.version_number >= OLDEST_VERSION {
        Finding::ok("database", answers)
    } else {
        Finding::fail("database", format!("{answers}, but 15 or newer is needed: upgrade it"))
    }];
    let settings = [
        ("fsync", server.fsync),
        ("synchronous_commit", server.synchronous_commit),
        ("full_page_writes", server.full_page_writes),
    ];
    let off: Vec<_> = settings.into_iter().filter(|(_, is_on)| !is_on).map(|(name, _)| name).collect();
    findings.push(if off.is_empty() {
        Finding::ok("durability", "what is committed survives a crash")
    } else {
        let names = off.join(", ");
        Finding::warn(
            "durability",
            format!("{names} off: a crash may lose what was sent, and send it again; turn it on"),
        )
    });
    Ok(findings)
}

/// Whether the pooler was told what a pooler in transaction mode must be told.
pub(super) async fn pooler(conn: &mut PgConnection) -> Findings {
    let session = server::session(conn).await?;
    let mut wrong = Vec::new();
    if !session.unlimited.is_empty() {
        wrong.push(format!("{} off: set them in connect_query", session.unlimited.join(", ")));
    }
    if session.left_behind > 0 {
        wrong.push("prepared statements outlive their transaction: set server_reset_query and _always".to_owned());
    }
    Ok(vec![if wrong.is_empty() {
        Finding::ok("pooler", "a transaction has its session to itself, with time limits")
    } else {
        Finding::fail("pooler", format!("{} (docs/scale.md)", wrong.join("; ")))
    }])
}

/// Whether the tables are those of this program.
pub(super) async fn schema(conn: &mut PgConnection) -> Findings {
    let (pending, unknown) = database::unmigrated(conn).await?;
    Ok(vec![if !pending.is_empty() {
        let count = counted(pending.len(), "migration");
        Finding::fail("schema", format!("{count} not applied: run `regua migrate`"))
    } else if !unknown.is_empty() {
        let count = counted(unknown.len(), "migration");
        Finding::warn("schema", format!("{count} that this program does not know: it is older than the database"))
    } else {
        Finding::ok("schema", "up to date")
    }])
}

/// Whether the kept counts of queues are those of their contacts.
pub(super) async fn counts(conn: &mut PgConnection, repair: bool) -> Findings {
    let wrong = queues::miscounted(conn, BOUND).await?;
    if wrong.is_empty() {
        return Ok(vec![Finding::ok("counts", "every queue's counts are those of its contacts")]);
    }
    if !repair {
        let ids: Vec<_> = wrong.iter().take(3).map(|(_, queue)| queue.to_string()).collect();
        let (count, ids) = (counted(wrong.len(), "queue"), ids.join(", "));
        return Ok(vec![Finding::fail(
            "counts",
            format!("{count} with wrong counts ({ids}): run `regua doctor --repair`"),
        )]);
    }
    for (tenant, queue) in &wrong {
        let mut transaction = conn.begin().await?;
        queues::lock(&mut transaction, &[(*tenant, *queue)]).await?;
        queues::recount(&mut transaction, *tenant, *queue).await?;
        transaction.commit().await?;
    }
    // A queue that is found to be done now is completed as periodic would.
    queues::complete_finished(conn, Clock::system().now(), BOUND).await?;
    Ok(vec![Finding::ok("counts", format!("{} counted anew", counted(wrong.len(), "queue")))])
}

/// Whether doorbells get out.
pub(super) async fn outbox(conn: &mut PgConnection) -> Findings {
    let waiting = outbox::count(conn).await?;
    let oldest = outbox::oldest_age(conn).await?.unwrap_or(0);
    Ok(vec![if oldest > LATE_SECONDS {
        let detail = format!(
            "{waiting} waiting, the oldest for {oldest} s: check that the broker answers and that regua-worker and \
             regua-periodic run"
        );
        Finding::warn("outbox", detail)
    } else {
        Finding::ok("outbox", format!("{waiting} waiting"))
    }])
}

/// Messages that nobody could read.
pub(super) async fn dead_letters(conn: &mut PgConnection, is_rabbitmq: bool) -> Findings {
    let count = dead_letters::count(conn).await?;
    Ok(vec![if count > 0 {
        Finding::warn("dead letters", format!("{count} in the table dead_letters: see why, then delete them"))
    } else if is_rabbitmq {
        Finding::ok("dead letters", "none in the database; RabbitMQ's own stand in its queue billing.dead")
    } else {
        Finding::ok("dead letters", "none")
    }])
}

/// Whether lanes of workers that died are taken over.
pub(super) async fn leases(conn: &mut PgConnection) -> Findings {
    let count = lanes::count_expired(conn, OVERRUN).await?;
    Ok(vec![if count > 0 {
        let detail =
            format!("{count} ran out and nobody took them over: check that regua-worker and regua-periodic run");
        Finding::warn("leases", detail)
    } else {
        Finding::ok("leases", "none has run out")
    }])
}

/// Numbers that cannot send.
pub(super) async fn instances(conn: &mut PgConnection) -> Findings {
    let down = instances::down(conn).await?;
    if down.is_empty() {
        return Ok(vec![Finding::ok("instances", "none is known to be down")]);
    }
    let finding = |one: instances::Down| {
        let reason = one.reason.map(|reason| format!(", {reason}")).unwrap_or_default();
        let (tenant, name, state) = (one.tenant, one.name, one.state);
        Finding::warn("instances", format!("{tenant}/{name} is down ({state}{reason}): connect it at its gateway"))
    };
    Ok(down.into_iter().map(finding).collect())
}

/// How what is sealed is kept.
pub(super) async fn secrets(conn: &mut PgConnection, arguments: &SecretArguments) -> Findings {
    let counts = sealed_secrets::count(conn).await?;
    if !arguments.is_set() {
        let detail = "REGUA_SECRET_KEY is not set here: nobody looked whether secrets open".to_owned();
        return Ok(vec![Finding::warn("secrets", detail)]);
    }
    let keys = arguments.keys()?;
    let finding = |one: &sealed_secrets::Count| {
        let count = counted(usize::try_from(one.count).unwrap_or(usize::MAX), "secret");
        match one.key_id.as_deref() {
            None => Some(Finding::warn("secrets", format!("{count} not sealed: run `regua secrets rotate`"))),
            Some(id) if id == keys.current_id() => None,
            Some(id) if keys.has(id) => {
                Some(Finding::warn("secrets", format!("{count} under the old key {id}: run `regua secrets rotate`")))
            }
            Some(id) => Some(Finding::fail(
                "secrets",
                format!("{count} under the key {id}, which is not here: add it to REGUA_OLD_SECRET_KEYS"),
            )),
        }
    };
    let findings: Vec<_> = counts.iter().filter_map(finding).collect();
    Ok(if findings.is_empty() { vec![Finding::ok("secrets", "all are sealed with the present key")] } else { findings })
}
