//! The checks of the database.

use std::time::Duration;

use regua_boot::Clock;
use regua_secrets::SecretArguments;
use regua_store::{dead_letters, doorbells, instances, lanes, queues, sealed_secrets, server};
use sqlx::{Connection, PgConnection};

use super::{Findings, fail, ok, warn};
use crate::database;
use crate::output::{counted, joined};

/// The oldest PostgreSQL whose behaviour is tested.
const OLDEST_VERSION: i32 = 150_000;
/// A doorbell is normally published within two seconds.
const LATE_SECONDS: i64 = 60;
/// An expired lease is normally taken over within a few seconds.
const LEASE_OVERRUN: Duration = Duration::from_secs(15);
/// Most miscounted queues of one run.
const MAX_QUEUES: i64 = 1000;

pub(super) async fn server(conn: &mut PgConnection) -> Findings {
    let server = server::about(conn).await?;
    let answers = format!("PostgreSQL {} answers", server.version);
    Ok(vec![if server.version_number >= OLDEST_VERSION {
        ok(answers)
    } else {
        fail(format!("{answers}, but 15 or newer is needed: upgrade it"))
    }])
}

pub(super) async fn durability(conn: &mut PgConnection) -> Findings {
    let server = server::about(conn).await?;
    let settings = [
        ("fsync", server.fsync),
        ("synchronous_commit", server.synchronous_commit),
        ("full_page_writes", server.full_page_writes),
    ];
    let off = joined(settings.iter().filter(|(_, is_on)| !is_on).map(|(name, _)| name));
    Ok(vec![if off.is_empty() {
        ok("what is committed survives a crash")
    } else {
        warn(format!("{off} off: after a crash, messages that were sent may be sent again; turn it on"))
    }])
}

/// The settings that a pooler in transaction mode needs.
pub(super) async fn pooler(conn: &mut PgConnection) -> Findings {
    let session = server::session_state(conn).await?;
    let mut wrong = Vec::new();
    if !session.unlimited.is_empty() {
        wrong.push(format!("{} off: set them in connect_query", session.unlimited.join(", ")));
    }
    if session.left_behind > 0 {
        wrong.push("prepared statements outlive their transaction: set server_reset_query and _always".to_owned());
    }
    Ok(vec![if wrong.is_empty() {
        ok("a transaction has its session to itself, with time limits")
    } else {
        fail(format!("{} (docs/scale.md)", wrong.join("; ")))
    }])
}

/// The applied migrations are those of this program.
pub(super) async fn schema(conn: &mut PgConnection) -> Findings {
    let (pending, unknown) = database::migration_status(conn).await?;
    Ok(vec![if !pending.is_empty() {
        let count = counted(pending.len(), "migration");
        fail(format!("{count} not applied: run `regua migrate`"))
    } else if !unknown.is_empty() {
        let count = counted(unknown.len(), "migration");
        warn(format!("{count} unknown to this program, which is older than the database"))
    } else {
        ok("up to date")
    }])
}

/// The stored counts of each queue equal the counts of its contacts; `repair` corrects them.
pub(super) async fn counts(conn: &mut PgConnection, repair: bool) -> Findings {
    let wrong = queues::list_miscounted(conn, MAX_QUEUES).await?;
    if wrong.is_empty() {
        return Ok(vec![ok("every queue's counts are those of its contacts")]);
    }
    if !repair {
        let ids: Vec<_> = wrong.iter().take(3).map(|(_, queue)| queue.to_string()).collect();
        let (count, ids) = (counted(wrong.len(), "queue"), ids.join(", "));
        return Ok(vec![fail(format!("{count} with wrong counts ({ids}): run `regua doctor --repair`"))]);
    }
    for (tenant, queue) in &wrong {
        let mut transaction = conn.begin().await?;
        queues::lock(&mut transaction, &[(*tenant, *queue)]).await?;
        queues::recount(&mut transaction, *tenant, *queue).await?;
        transaction.commit().await?;
    }
    // A corrected queue may have no contact left to send; regua-periodic completes such queues in the same way.
    queues::complete_finished(conn, Clock::system().now(), MAX_QUEUES).await?;
    Ok(vec![ok(format!("{} corrected", counted(wrong.len(), "queue")))])
}

/// Doorbells are published in time.
pub(super) async fn doorbells(conn: &mut PgConnection) -> Findings {
    let waiting = doorbells::count(conn).await?;
    let oldest = doorbells::oldest_age(conn).await?.unwrap_or(0);
    Ok(vec![if oldest > LATE_SECONDS {
        let detail = format!(
            "{waiting} waiting, the oldest for {oldest} s: check that the broker answers and that regua-worker and \
             regua-periodic run"
        );
        warn(detail)
    } else {
        ok(format!("{waiting} waiting"))
    }])
}

pub(super) async fn dead_letters(conn: &mut PgConnection, is_rabbitmq: bool) -> Findings {
    let count = dead_letters::count(conn).await?;
    Ok(vec![if count > 0 {
        warn(format!("{count} in the table dead_letters: find the cause, then delete them"))
    } else if is_rabbitmq {
        ok("none in the database; those of RabbitMQ are in its queue billing.dead")
    } else {
        ok("none")
    }])
}

/// Lanes of dead workers are taken over.
pub(super) async fn leases(conn: &mut PgConnection) -> Findings {
    let count = lanes::count_expired(conn, LEASE_OVERRUN).await?;
    Ok(vec![if count > 0 {
        let detail = format!("{count} expired and not taken over: check that regua-worker and regua-periodic run");
        warn(detail)
    } else {
        ok("none has run out")
    }])
}

pub(super) async fn instances(conn: &mut PgConnection) -> Findings {
    let down = instances::list_down(conn).await?;
    if down.is_empty() {
        return Ok(vec![ok("none is known to be down")]);
    }
    let result = |one: instances::DownInstance| {
        let reason = one.reason.map(|reason| format!(", {reason}")).unwrap_or_default();
        let (tenant, name, state) = (one.tenant, one.name, one.state);
        warn(format!("{tenant}/{name} is down ({state}{reason}): connect it at its gateway"))
    };
    Ok(down.into_iter().map(result).collect())
}

/// Every secret is sealed with the current key.
pub(super) async fn secrets(conn: &mut PgConnection, arguments: &SecretArguments) -> Findings {
    let counts = sealed_secrets::count_by_key(conn).await?;
    if !arguments.is_set() {
        let detail = "REGUA_SECRET_KEY is not set here: the check of the secrets was left out".to_owned();
        return Ok(vec![warn(detail)]);
    }
    let keys = arguments.keys()?;
    let result = |one: &sealed_secrets::KeyUse| {
        let count = counted(usize::try_from(one.count).unwrap_or(usize::MAX), "secret");
        match one.key_id.as_deref() {
            None => Some(warn(format!("{count} not sealed: run `regua secrets rotate`"))),
            Some(id) if id == keys.current_id() => None,
            Some(id) if keys.has(id) => {
                Some(warn(format!("{count} under the old key {id}: run `regua secrets rotate`")))
            }
            Some(id) => {
                Some(fail(format!("{count} under the key {id}, which is not here: add it to REGUA_OLD_SECRET_KEYS")))
            }
        }
    };
    let results: Vec<_> = counts.iter().filter_map(result).collect();
    Ok(if results.is_empty() { vec![ok("all are sealed with the present key")] } else { results })
}
