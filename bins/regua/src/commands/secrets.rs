//! `regua secrets`: seals the secrets in the database with the current key.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::ensure;
use clap::{Args, Subcommand};
use regua_boot::DatabaseArguments;
use regua_domain::{InstanceId, Sealed, UserId};
use regua_secrets::{Place, SecretArguments, SecretKeys};
use regua_store::sealed_secrets::{self, Column, StoredSecret};
use serde::Serialize;
use sqlx::PgPool;

use crate::output::OutputFormat;
use crate::{database, output};

/// Secrets of one transaction.
const BATCH: i64 = 200;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Seal all secrets that are not sealed with the current key: those under an old key, and those stored before
    /// secrets were sealed; may be interrupted and repeated
    #[command(
        after_help = "Example:\n  REGUA_SECRET_KEY=new REGUA_OLD_SECRET_KEYS=old regua secrets rotate\n\nGive both keys to every process first; remove the old key when this command reports that nothing is under it."
    )]
    Rotate(Rotate),
}

#[derive(Args, Debug)]
pub(crate) struct Rotate {
    #[command(flatten)]
    database: DatabaseArguments,
    #[command(flatten)]
    secrets: SecretArguments,
    #[command(flatten)]
    format: OutputFormat,
}

#[derive(Default, Serialize)]
struct Rotation {
    /// Secrets that were not sealed before.
    sealed: u64,
    /// Secrets that were under an old key.
    resealed: u64,
    /// Secrets that another process changed, and sealed, in the meantime.
    left_alone: u64,
    /// Secrets that cannot be opened, by cause.
    unreadable: BTreeMap<String, u64>,
}

pub(crate) async fn run(Command::Rotate(rotate): &Command) -> anyhow::Result<ExitCode> {
    let keys = rotate.secrets.keys()?;
    let pool = database::open(&rotate.database)?;
    let mut rotation = Rotation::default();
    for column in Column::ALL {
        rotation.rotate(&pool, &keys, column).await?;
    }
    rotation.print(rotate.format)
}

/// The place to which the seal binds the secret.
fn place(column: Column, stored: &StoredSecret) -> Place {
    match column {
        Column::InstanceToken => Place::instance_token(stored.tenant, InstanceId(stored.row)),
        Column::TotpSeed => Place::totp_seed(stored.tenant, UserId(stored.row)),
    }
}

impl Rotation {
    async fn rotate(&mut self, pool: &PgPool, keys: &SecretKeys, column: Column) -> anyhow::Result<()> {
        let mut after = None;
        loop {
            let mut transaction = pool.begin().await?;
            let batch =
                sealed_secrets::list_not_sealed_with(&mut transaction, column, keys.current_id(), after, BATCH).await?;
            let Some(last) = batch.last() else { return Ok(()) };
            after = Some((last.tenant, last.row));
            let (resealed, was_sealed) = self.reseal(keys, column, batch)?;
            let changed = sealed_secrets::reseal(&mut transaction, column, &resealed).await?;
            transaction.commit().await?;
            let all = u64::try_from(resealed.len())?;
            ensure!(changed <= all, "more secrets were changed than were sealed");
            self.left_alone += all - changed;
            self.resealed += was_sealed.min(changed);
            self.sealed += changed.saturating_sub(was_sealed);
        }
    }

    /// The batch sealed with the current key, and how many of its secrets were sealed before.
    fn reseal(
        &mut self,
        keys: &SecretKeys,
        column: Column,
        batch: Vec<StoredSecret>,
    ) -> anyhow::Result<(Vec<(StoredSecret, Sealed)>, u64)> {
        let (mut sealed, mut was_sealed) = (Vec::with_capacity(batch.len()), 0);
        for stored in batch {
            let place = place(column, &stored);
            match keys.open_or_plain(&place, &stored.secret) {
                Ok(plain) => {
                    was_sealed += u64::from(Sealed::parse(&stored.secret).is_some());
                    sealed.push((stored, keys.seal(&place, &plain)?));
                }
                Err(error) => *self.unreadable.entry(error.to_string()).or_default() += 1,
            }
        }
        Ok((sealed, was_sealed))
    }

    fn print(&self, format: OutputFormat) -> anyhow::Result<ExitCode> {
        if format.json {
            output::json(self)?;
        } else {
            output::line(format_args!("{} sealed for the first time, {} sealed again", self.sealed, self.resealed))?;
            if self.left_alone > 0 {
                output::line(format_args!("{} left alone, because they were changed meanwhile", self.left_alone))?;
            }
            for (cause, count) in &self.unreadable {
                output::line(format_args!("{count} cannot be opened: {cause}"))?;
            }
            if self.unreadable.is_empty() {
                output::line("Nothing is under an old key: REGUA_OLD_SECRET_KEYS may be removed.")?;
            }
        }
        Ok(output::success_if(self.unreadable.is_empty()))
    }
}
