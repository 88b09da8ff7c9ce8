//! Writing to the terminal, which no other module does. Results go to standard output, remarks, progress and failures
//! to standard error, so that a program can read the results alone.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use chrono::{DateTime, SecondsFormat, Utc};
use clap::Args;
use comfy_table::{Table, presets};
use serde::Serialize;

#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct OutputFormat {
    /// Write JSON, for programs
    #[arg(long)]
    pub(crate) json: bool,
}

impl OutputFormat {
    /// Writes a listing: as JSON, or as a table with a row for each item.
    pub(crate) fn listing<T: Serialize, const COLUMNS: usize>(
        self,
        items: &[T],
        header: [&str; COLUMNS],
        row: impl Fn(&T) -> [String; COLUMNS],
    ) -> anyhow::Result<ExitCode> {
        if self.json {
            json(&items)?;
        } else {
            table(header, items.iter().map(row))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Writes one result: as JSON, or as text.
    pub(crate) fn result(self, value: &impl Serialize, text: impl Display) -> anyhow::Result<ExitCode> {
        if self.json {
            json(value)?;
        } else {
            line(text)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Writes a line of the result. A closed standard output (`| head`) is no failure.
pub(crate) fn line(text: impl Display) -> anyhow::Result<()> {
    bytes(format!("{text}\n").as_bytes())
}

/// Writes a part of the result that has its own line ends. A closed standard output is no failure.
pub(crate) fn bytes(bytes: &[u8]) -> anyhow::Result<()> {
    match io::stdout().lock().write_all(bytes) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Writes JSON, with the members of each object in the order of their names.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    line(format_args!("{:#}", serde_json::to_value(value)?))
}

/// Writes a listing with aligned columns.
pub(crate) fn table<const COLUMNS: usize>(
    header: [&str; COLUMNS],
    rows: impl IntoIterator<Item = [String; COLUMNS]>,
) -> anyhow::Result<()> {
    line(aligned(header, rows))
}

fn aligned<const COLUMNS: usize>(header: [&str; COLUMNS], rows: impl IntoIterator<Item = [String; COLUMNS]>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

/// The exit status of a command that has printed its result.
pub(crate) fn success_if(is_success: bool) -> ExitCode {
    if is_success { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A cell of a listing; `-` for an absent value.
pub(crate) fn or_dash(value: Option<impl Display>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// A state, with its reason if it has one.
pub(crate) fn with_reason(state: impl Display, reason: Option<&str>) -> String {
    reason.map_or_else(|| state.to_string(), |reason| format!("{state} ({reason})"))
}

/// An instant as the API writes it.
pub(crate) fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// An instant without a fraction of its second.
pub(crate) fn whole_second(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Texts as one cell.
pub(crate) fn joined(texts: impl IntoIterator<Item = impl Display>) -> String {
    texts.into_iter().map(|text| text.to_string()).collect::<Vec<_>>().join(", ")
}

/// Writes a line to standard error. A failure to write is ignored: no other output is left to report it.
pub(crate) fn remark(text: impl Display) {
    let _unreported = writeln!(io::stderr().lock(), "{text}");
}

/// A count with its noun: `1 row`, `2 rows`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    let ending = if noun.ends_with("ch") { "es" } else { "s" };
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}{ending}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_have_no_trailing_spaces() {
        let text = aligned(["name", "state"], [["matriz".to_owned(), "open".to_owned()]]);
        assert_eq!(text, "name    state\nmatriz  open");
    }

    #[test]
    fn noun_of_one_is_singular() {
        assert_eq!(counted(1, "row"), "1 row");
        assert_eq!(counted(0, "row"), "0 rows");
        assert_eq!(counted(2, "batch"), "2 batches");
    }
}
