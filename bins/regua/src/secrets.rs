//! `regua secrets`: what is kept sealed in the database.

use std::collections::BTreeMap;

use anyhow::ensure;
use clap::{Args, Subcommand};
use regua_boot::{CannotOpen, DatabaseArguments, Place, SecretArguments, SecretKeys};
use regua_domain::Sealed;
use regua_store::instances::{self, KeptToken};
use serde_json::json;

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
    let (mut done, mut after) = (Done::default(), None);
    loop {
        let mut transaction = pool.begin().await?;
        let kept = instances::tokens_not_under(&mut transaction, keys.current_id(), after, BATCH).await?;
        let Some(last) = kept.last() else { break };
        after = Some((last.tenant, last.instance));
        let (resealed, was_sealed) = done.seal_anew(&keys, kept)?;
        let changed = instances::reseal_tokens(&mut transaction, &resealed).await?;
        transaction.commit().await?;
        let all = u64::try_from(resealed.len())?;
        ensure!(changed <= all, "more tokens were changed than were sealed");
        done.left_alone += all - changed;
        done.resealed += was_sealed.min(changed);
        done.sealed += changed.saturating_sub(was_sealed);
    }
    done.tell(rotate.form)
}

impl Done {
    /// A batch under the present key, and how many of it were under another one before.
    fn seal_anew(
        &mut self,
        keys: &SecretKeys,
        batch: Vec<KeptToken>,
    ) -> anyhow::Result<(Vec<(KeptToken, Sealed)>, u64)> {
        let (mut sealed, mut was_sealed) = (Vec::with_capacity(batch.len()), 0);
        for kept in batch {
            let place = Place::instance_token(kept.tenant, kept.instance);
            match keys.open_or_plain(&place, &kept.token) {
                Ok(plain) => {
                    was_sealed += u64::from(Sealed::parse(&kept.token).is_some());
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
