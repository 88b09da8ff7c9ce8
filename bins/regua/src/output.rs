//! The one place that writes to the terminal. Results go to standard output; everything about the run itself (remarks,
//! progress, failures) goes to standard error, so that a program can read the first without the second.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

use comfy_table::{Table, presets};
use serde::Serialize;
use serde_json::Value;

use crate::database;

/// Writes a line of the result. A reader that has gone (`| head`) is no failure.
pub(crate) fn line(text: impl Display) -> anyhow::Result<()> {
    match writeln!(io::stdout().lock(), "{text}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Writes a piece of a result that has its own lines.
pub(crate) fn bytes(bytes: &[u8]) -> anyhow::Result<()> {
    match io::stdout().lock().write_all(bytes) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Writes the result for programs.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    line(serde_json::to_string_pretty(value)?)
}

/// Writes a listing for people, its columns in line.
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

/// A member of an answer in a listing.
pub(crate) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Remarks on the run. Where even this cannot be written, there is nobody to tell.
pub(crate) fn remark(text: impl Display) {
    let _nobody_to_tell = writeln!(io::stderr().lock(), "{text}");
}

/// Says why a command failed: one sentence, and the remedy where there is one.
pub(crate) fn failure(error: &anyhow::Error) {
    let cause = database::explain(error).unwrap_or_else(|| format!("{error:#}"));
    remark(format_args!("regua: {cause}"));
}

/// A count with its noun: `1 row`, `2 rows`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_in_line_and_lines_end_where_their_text_ends() {
        let text = aligned(["name", "state"], [["matriz".to_owned(), "open".to_owned()]]);
        assert_eq!(text, "name    state\nmatriz  open");
    }

    #[test]
    fn one_is_singular() {
        assert_eq!(counted(1, "row"), "1 row");
        assert_eq!(counted(0, "row"), "0 rows");
    }
}
