//! The ledger on disk: a line of JSON for each message that left, with its stored row. It survives a kill of the sandbox.
//! States of instances, faults and statuses end with the process.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use anyhow::Context;
use serde::Deserialize;
use serde_json::json;

use super::LedgerEntry;
use crate::history::StoredMessage;

#[derive(Deserialize)]
pub(super) struct Line {
    pub(super) entry: LedgerEntry,
    /// `None` when Evolution's database failed.
    pub(super) row: Option<StoredMessage>,
}

pub(super) struct Journal {
    file: File,
}

impl Journal {
    pub(super) fn open(path: &Path) -> anyhow::Result<(Self, Vec<Line>)> {
        let file = File::options().read(true).append(true).create(true).open(path);
        let mut file = file.context("the journal cannot be opened")?;
        let mut text = String::new();
        file.read_to_string(&mut text).context("the journal cannot be read")?;
        let lines = text.lines().map(serde_json::from_str).collect::<Result<_, _>>();
        Ok((Self { file }, lines.context("the journal has an invalid line")?))
    }

    /// One write per line, so that a kill leaves no partial line.
    pub(super) fn write(&mut self, entry: &LedgerEntry, row: Option<&StoredMessage>) -> anyhow::Result<()> {
        let line = format!("{}\n", json!({"entry": entry, "row": row}));
        Ok(self.file.write_all(line.as_bytes())?)
    }
}
