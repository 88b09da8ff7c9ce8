//! Contacts as CSV rows. Five columns are fields of the contact, every other column is a variable.

use std::collections::HashSet;

use anyhow::{Context, bail, ensure};
use csv::{ReaderBuilder, StringRecord};
use regua_domain::MessageType;
use serde_json::value::to_raw_value;
use serde_json::{Map, Value};

use super::{Contact, Place};
use crate::files::formula_guard::unguarded;

const FIELDS: [&str; 5] = ["external_id", "name", "phone", "due_date", "amount"];
/// Most wrong rows in an error message.
const MAX_NAMED_ROWS: usize = 5;

/// Parses the contacts of a CSV text without its empty rows.
///
/// A row of another length than the header refuses the whole file, because a debtor could get a wrong amount.
pub(super) fn parse(text: &str, message_type: MessageType) -> anyhow::Result<Vec<Contact>> {
    let mut builder = ReaderBuilder::new();
    let mut reader =
        builder.delimiter(delimiter(text)).flexible(true).trim(csv::Trim::All).from_reader(text.as_bytes());
    let header = reader.headers().context("the header cannot be read")?.clone();
    check_header(&header, message_type)?;
    let mut contacts = Vec::new();
    let mut wrong = Vec::new();
    for record in reader.records() {
        let record = record.context("a row cannot be read")?;
        let line = record.position().map_or(0, |position| line(text, position));
        if record.iter().all(str::is_empty) {
            continue;
        }
        if record.len() != header.len() {
            wrong.push(format!("line {line} has {}", record.len()));
            continue;
        }
        contacts.push(Contact { place: Place::Line(line), json: to_raw_value(&contact(&header, &record))? });
    }
    if !wrong.is_empty() {
        let more = wrong.len().saturating_sub(MAX_NAMED_ROWS);
        wrong.truncate(MAX_NAMED_ROWS);
        let more = if more > 0 { format!(", and {more} more") } else { String::new() };
        bail!(
            "the header has {} columns, but {}{more}: put quotes around cells that hold the delimiter",
            header.len(),
            wrong.join(", ")
        );
    }
    Ok(contacts)
}

/// The line of a row. The reader's own position is before the blank lines that it skips.
fn line(text: &str, position: &csv::Position) -> u64 {
    let begins = usize::try_from(position.byte()).unwrap_or(usize::MAX);
    let skipped = text.as_bytes().get(begins..).unwrap_or_default();
    let breaks = skipped.iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).filter(|byte| **byte == b'\n');
    position.line() + breaks.count() as u64
}

/// The one of `,` and `;` that divides the header into more columns.
fn delimiter(text: &str) -> u8 {
    let columns = |delimiter| {
        let mut reader = ReaderBuilder::new().delimiter(delimiter).from_reader(text.as_bytes());
        reader.headers().map_or(0, StringRecord::len)
    };
    if columns(b';') > columns(b',') { b';' } else { b',' }
}

fn check_header(header: &StringRecord, message_type: MessageType) -> anyhow::Result<()> {
    let mut seen = HashSet::new();
    for column in header {
        ensure!(!column.is_empty(), "a column of the header has no name: name it, or take the column out");
        ensure!(seen.insert(column), "the header names {column:?} twice: take one of them out");
    }
    let required: &[&str] =
        if message_type.concerns_a_bill() { &["name", "phone", "due_date", "amount"] } else { &["name", "phone"] };
    let missing: Vec<_> = required.iter().filter(|column| !seen.contains(*column)).copied().collect();
    ensure!(
        missing.is_empty(),
        "the header lacks {}; it has: {}. The first line must name the columns, separated by commas or semicolons",
        missing.join(", "),
        header.iter().collect::<Vec<_>>().join(", ")
    );
    Ok(())
}

/// The guard of an exported cell is removed. Empty cells are left out, so that a template can test for the variable.
fn contact(header: &StringRecord, record: &StringRecord) -> Map<String, Value> {
    let mut contact = Map::new();
    let mut variables = Map::new();
    for (column, cell) in header.iter().zip(record).filter(|(_, cell)| !cell.is_empty()) {
        let into = if FIELDS.contains(&column) { &mut contact } else { &mut variables };
        into.insert(column.to_owned(), unguarded(cell).into());
    }
    if !variables.is_empty() {
        contact.insert("variables".to_owned(), variables.into());
    }
    contact
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn contacts(text: &str) -> Vec<(Place, Value)> {
        let contacts = parse(text, MessageType::Overdue).unwrap();
        contacts.iter().map(|one| (one.place, serde_json::from_str(one.json.get()).unwrap())).collect()
    }

    fn error(text: &str) -> String {
        parse(text, MessageType::Overdue).unwrap_err().to_string()
    }

    #[test]
    fn unknown_columns_are_variables_and_empty_cells_are_left_out() {
        let read =
            contacts("external_id,name,phone,due_date,amount,link,note\nNF-1,Ana,11 9,2026-11-10,1.50,https://x,\n");
        let expected = json!({"external_id": "NF-1", "name": "Ana", "phone": "11 9", "due_date": "2026-11-10",
                              "amount": "1.50", "variables": {"link": "https://x"}});
        assert_eq!(read, [(Place::Line(2), expected)]);
    }

    #[test]
    fn guard_of_an_exported_cell_is_removed() {
        let read = contacts("external_id;name;phone;due_date;amount\n\"'=1\";\"'t Hooft\";\"'+5511988887777\";2;3\n");
        assert_eq!((&read[0].1["external_id"], &read[0].1["phone"]), (&json!("=1"), &json!("+5511988887777")));
        assert_eq!(read[0].1["name"], "'t Hooft");
    }

    #[test]
    fn semicolons_quotes_and_windows_line_ends_are_read() {
        let read = contacts("name;phone;due_date;amount;obs\r\n\"Silva; Ana\";11;2026-11-10;\"1,50\";a, b\r\n;;;;\r\n");
        assert_eq!(read.len(), 1);
        assert_eq!(read[0].1["name"], "Silva; Ana");
        assert_eq!(read[0].1["amount"], "1,50", "the API checks amounts");
        assert_eq!(read[0].1["variables"]["obs"], "a, b");
    }

    #[test]
    fn place_is_the_first_line_of_the_row() {
        let read = contacts("name,phone,due_date,amount,obs\n\nAna,1,2,3,\"two\nlines\"\n\nBia,1,2,3,x\n");
        assert_eq!(read.iter().map(|row| row.0).collect::<Vec<_>>(), [Place::Line(3), Place::Line(6)]);
    }

    #[test]
    fn header_with_missing_or_repeated_columns_is_refused() {
        assert!(
            error("nome;telefone\nAna;1\n").contains("lacks name, phone, due_date, amount; it has: nome, telefone")
        );
        assert!(error("name,phone,due_date,amount,name\n").contains("twice"));
        assert!(error("name,phone,due_date,amount,\n").contains("no name"));
        assert!(parse("name,phone\nAna,1\n", MessageType::Notification).is_ok());
    }

    #[test]
    fn row_of_another_length_refuses_the_file() {
        let wrong = error("name,phone,due_date,amount\nAna,1,2026-11-10,1,50\nBia,1\n");
        assert!(wrong.contains("4 columns, but line 2 has 5, line 3 has 2"), "{wrong}");
    }
}
