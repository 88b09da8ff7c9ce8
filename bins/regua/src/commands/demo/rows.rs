//! The contact file of a demo: the rows of the example, repeated with other ids and phone numbers if more are wanted.

use anyhow::Context;
use csv::{ReaderBuilder, WriterBuilder};

const EXAMPLE: &str = include_str!("../../../../../examples/overdue.csv");

/// A CSV text with this number of contacts.
pub(super) fn csv_text(contacts: usize) -> anyhow::Result<String> {
    let mut reader = ReaderBuilder::new().from_reader(EXAMPLE.as_bytes());
    let header = reader.headers()?.clone();
    let column = |name: &str| header.iter().position(|column| column == name).context("the example lacks a column");
    let (id, phone) = (column("external_id")?, column("phone")?);
    let rows = reader.records().collect::<Result<Vec<_>, _>>()?;
    let mut writer = WriterBuilder::new().from_writer(Vec::new());
    writer.write_record(&header)?;
    for (number, row) in rows.iter().cycle().take(contacts).enumerate() {
        // The operators assign no number that begins with 90.
        let (other_id, other_phone) = (format!("NF-{:06}", number + 1), format!("551190{:07}", number + 1_000_000));
        writer.write_record(row.iter().enumerate().map(|(column, cell)| match column {
            _ if number < rows.len() => cell,
            _ if column == id => &other_id,
            _ if column == phone => &other_phone,
            _ => cell,
        }))?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn column(contacts: usize, column: usize) -> Vec<String> {
        let text = csv_text(contacts).unwrap();
        let mut reader = ReaderBuilder::new().from_reader(text.as_bytes());
        reader.records().map(|row| row.unwrap()[column].to_owned()).collect()
    }

    #[test]
    fn default_number_of_contacts_is_the_example() {
        assert_eq!(csv_text(super::super::ROWS).unwrap(), EXAMPLE);
        assert_eq!(column(3, 0), ["NF-000001", "NF-000002", "NF-000003"]);
    }

    #[test]
    fn repeated_rows_have_unique_ids_and_phone_numbers() {
        for index in [0, 2] {
            let all = column(1_700, index);
            assert_eq!(all.iter().collect::<HashSet<_>>().len(), 1_700);
        }
    }
}
