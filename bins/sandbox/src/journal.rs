//! What left, on disk: a line of JSON for each message, with the row that Evolution stored of it. It makes a sandbox that
//! was killed know what it did. Instances' states, faults and statuses are not in it: they end with the process.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::history::StoredMessage;
use crate::ledger::LedgerEntry;

/// One line.
#[derive(Serialize)]
struct Line<'a> {
    entry: &'a LedgerEntry,
    row: Option<&'a StoredMessage>,
}

/// One line, read back.
#[derive(Deserialize)]
pub(crate) struct Departed {
    pub(crate) entry: LedgerEntry,
    /// None where Evolution's database did not take it.
    pub(crate) row: Option<StoredMessage>,
}

pub(crate) struct Journal {
    file: File,
}

impl Journal {
    /// Opens the journal, and reads what an earlier process wrote.
    pub(crate) fn open(path: &Path) -> anyhow::Result<(Self, Vec<Departed>)> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path).context("the journal")?;
        let mut text = String::new();
        file.read_to_string(&mut text).context("the journal cannot be read")?;
        let departed = text.lines().map(serde_json::from_str).collect::<Result<_, _>>();
        Ok((Self { file }, departed.context("the journal has a line that is none of ours")?))
    }

    /// One write for one line, so that a kill leaves no half of it.
    pub(crate) fn write(&mut self, entry: &LedgerEntry, row: Option<&StoredMessage>) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(&Line { entry, row })?;
        line.push(b'\n');
        self.file.write_all(&line)?;
        Ok(())
    }
}
