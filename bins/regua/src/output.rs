//! Writing to the terminal, which no other module does. Results go to standard output, remarks, progress and failures
//! to standard error, so that a program can read the results alone.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

use clap::Args;
use comfy_table::{Table, presets};
use serde::Serialize;
use serde_json::Value;

#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct OutputFormat {
    /// Write JSON, for programs
    #[arg(long)]
    pub(crate) json: bool,
}

/// Writes a line of the result. A closed standard output (`| head`) is no failure.
pub(crate) fn line(text: impl Display) -> anyhow::Result<()> {
    match writeln!(io::stdout().lock(), "{text}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Writes a part of the result that has its own line ends. A closed standard output is no failure.
pub(crate) fn bytes(bytes: &[u8]) -> anyhow::Result<()> {
    match io::stdout().lock().write_all(bytes) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    line(serde_json::to_string_pretty(value)?)
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

/// A JSON value as a cell of a listing; `-` for null.
pub(crate) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
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
