//! `regua secrets`: what is kept sealed in the database.

use std::collections::BTreeMap;

use anyhow::ensure;
use clap::{Args, Subcommand};
use regua_boot::{CannotOpen, DatabaseArguments, Place, SecretArguments, SecretKeys};
use regua_domain::{InstanceId, Sealed, UserId};
use regua_store::sealed_secrets::{self, Column, Kept};
use serde_json::json;
use sqlx::PgPool;

use crate::arguments::{Ending, Form};
use crate::{database, output};

/// Secrets that are sealed in one transaction.
const BATCH: i64 = 200;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Seal with the present key whatever is under an old key, or was kept before secrets were sealed; may be interrupted
    /// and repeated
    #[command(
        after_help = "Example:\n  REGUA_SECRET_KEY=new REGUA_OLD_SECRET_KEYS=old regua secrets rotate\n\nGive the keys to every process first; take the old one away when this says that nothing is under it any more."
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
    form: Form,
}

/// What a rotation did.
#[derive(Default)]
struct Done {
    /// Were not sealed, and are.
    sealed: u64,
    /// Were under an old key, and are under the present one.
    resealed: u64,
    /// Were changed by somebody else meanwhile, who has sealed them.
    left_alone: u64,
    /// Do not open, by why.
    unreadable: BTreeMap<String, u64>,
}

/// Runs the command.
pub(crate) async fn run(Command::Rotate(rotate): &Command) -> anyhow::Result<Ending> {
    let keys = rotate.secrets.keys()?;
    let pool = database::open(&rotate.database)?;
    let mut done = Done::default();
    for column in Column::ALL {
        done.rotate(&pool, &keys, column).await?;
    }
    done.tell(rotate.form)
}

/// The place that a secret was sealed for.
fn place(column: Column, kept: &Kept) -> Place {
    match column {
        Column::InstanceToken => Place::instance_token(kept.tenant, InstanceId(kept.row)),
        Column::TotpSeed => Place::totp_seed(kept.tenant, UserId(kept.row)),
    }
}

impl Done {
    /// Seals one column anew, batch by batch.
    async fn rotate(&mut self, pool: &PgPool, keys: &SecretKeys, column: Column) -> anyhow::Result<()> {
        let mut after = None;
        loop {
            let mut transaction = pool.begin().await?;
            let kept = sealed_secrets::not_under(&mut transaction, column, keys.current_id(), after, BATCH).await?;
            let Some(last) = kept.last() else { return Ok(()) };
            after = Some((last.tenant, last.row));
            let (resealed, was_sealed) = self.seal_anew(keys, column, kept)?;
            let changed = sealed_secrets::reseal(&mut transaction, column, &resealed).await?;
            transaction.commit().await?;
            let all = u64::try_from(resealed.len())?;
            ensure!(changed <= all, "more secrets were changed than were sealed");
            self.left_alone += all - changed;
            self.resealed += was_sealed.min(changed);
            self.sealed += changed.saturating_sub(was_sealed);
        }
    }

    /// A batch under the present key, and how many of it were under another one before.
    fn seal_anew(
        &mut self,
        keys: &SecretKeys,
        column: Column,
        batch: Vec<Kept>,
    ) -> anyhow::Result<(Vec<(Kept, Sealed)>, u64)> {
        let (mut sealed, mut was_sealed) = (Vec::with_capacity(batch.len()), 0);
        for kept in batch {
            let place = place(column, &kept);
            match keys.open_or_plain(&place, &kept.secret) {
                Ok(plain) => {
                    was_sealed += u64::from(Sealed::parse(&kept.secret).is_some());
                    sealed.push((kept, keys.seal(&place, &plain)?));
                }
                Err(cannot) => *self.unreadable.entry(why(&cannot)).or_default() += 1,
            }
        }
        Ok((sealed, was_sealed))
    }

    fn tell(&self, form: Form) -> anyhow::Result<Ending> {
        if form.json {
            output::json(&json!({
                "sealed": self.sealed, "resealed": self.resealed, "left_alone": self.left_alone,
                "unreadable": self.unreadable,
            }))?;
        } else {
            output::line(format_args!("{} sealed that were not, {} sealed anew", self.sealed, self.resealed))?;
            if self.left_alone > 0 {
                output::line(format_args!("{} were changed meanwhile and left as they are", self.left_alone))?;
            }
            for (why, count) in &self.unreadable {
                output::line(format_args!("{count} cannot be opened: {why}"))?;
            }
            if self.unreadable.is_empty() {
                output::line("Nothing is under an old key: REGUA_OLD_SECRET_KEYS may be taken away.")?;
            }
        }
        Ok(Ending::of(self.unreadable.is_empty()))
    }
}

fn why(cannot: &CannotOpen) -> String {
    cannot.to_string()
}
