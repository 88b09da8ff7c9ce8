//! `regua queue export`: writes the results of a queue's contacts as CSV for a spreadsheet. Cells are guarded against
//! formulas.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use chrono::{DateTime, Utc};
use clap::Args;
use csv::{QuoteStyle, WriterBuilder};
use regua_domain::QueueId;
use regua_store::contacts::Contact;

use crate::client::{ApiArguments, Client};
use crate::files::formula_guard::guarded;
use crate::output;

type Cell = fn(&Contact) -> String;

/// The name of each column, and its cell of a contact.
const COLUMNS: [(&str, Cell); 14] = [
    ("external_id", |contact| text(&contact.external_id)),
    ("phone", |contact| contact.phone.clone()),
    ("status", |contact| contact.status.to_string()),
    ("reason", |contact| text(&contact.reason)),
    ("reference", |contact| contact.reference.clone()),
    ("attempts", |contact| contact.attempts.to_string()),
    ("resends", |contact| contact.resends.to_string()),
    ("variation", |contact| contact.variation.to_string()),
    ("message_id", |contact| text(&contact.message_id)),
    ("sent_at", |contact| instant(contact.sent_at)),
    ("delivered_at", |contact| instant(contact.delivered_at)),
    ("read_at", |contact| instant(contact.read_at)),
    ("contact_id", |contact| contact.contact_id.to_string()),
    ("metadata", |contact| contact.metadata.to_string()),
];
/// Excel reads a file without it in the encoding of the system.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

#[derive(Args, Debug)]
pub(crate) struct Export {
    #[command(flatten)]
    api: ApiArguments,
    /// The queue's id, as `regua send` or `regua queue list` shows it
    id: QueueId,
    /// File to write; absent: standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Separator of cells; a Brazilian Excel needs ;
    #[arg(long, value_name = "CHARACTER", default_value = ",", value_parser = delimiter)]
    delimiter: u8,
    /// Begin with a byte order mark, so that Excel reads accents
    #[arg(long)]
    bom: bool,
}

impl Export {
    pub(crate) async fn run(&self) -> anyhow::Result<ExitCode> {
        let client = self.api.client()?;
        let Some(path) = &self.output else {
            self.write(&client, output::bytes).await?;
            return Ok(ExitCode::SUCCESS);
        };
        // A truncated file cannot be told from a complete one, so the file gets its name at the end.
        let part = path.with_added_extension("part");
        let mut file =
            File::create(&part).with_context(|| format!("{} cannot be written: name another file", part.display()))?;
        let count = self.write(&client, |bytes| Ok(file.write_all(bytes)?)).await?;
        file.sync_all()?;
        std::fs::rename(&part, path).with_context(|| format!("{} cannot be written", path.display()))?;
        output::remark(format_args!("{} written to {}", output::counted(count, "contact"), path.display()));
        Ok(ExitCode::SUCCESS)
    }

    /// Writes the rows of all contacts, and returns their number.
    async fn write(
        &self,
        client: &Client,
        mut write: impl FnMut(&[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<usize> {
        let path = format!("/billing/queue/{}/contacts?", self.id);
        let mut count = 0;
        let add = |contacts: Vec<Contact>| {
            // With the first page, so that an unknown queue leaves no output.
            if count == 0 {
                write(&header(self.delimiter, self.bom)?)?;
            }
            count += contacts.len();
            write(&rows(self.delimiter, contacts.iter().map(cells))?)
        };
        client.pages(&path, usize::MAX, add).await?;
        Ok(count)
    }
}

fn delimiter(text: &str) -> Result<u8, String> {
    match text {
        "," | ";" | "|" => Ok(text.as_bytes()[0]),
        "\t" | "\\t" | "tab" => Ok(b'\t'),
        _ => Err("use , or ; or | or tab".to_owned()),
    }
}

fn header(delimiter: u8, bom: bool) -> anyhow::Result<Vec<u8>> {
    let rows = rows(delimiter, [COLUMNS.map(|(name, _)| name.to_owned())])?;
    Ok(if bom { [BYTE_ORDER_MARK, &rows].concat() } else { rows })
}

/// Every cell is quoted, so that no spreadsheet splits a cell at another separator.
fn rows(delimiter: u8, rows: impl IntoIterator<Item = [String; COLUMNS.len()]>) -> anyhow::Result<Vec<u8>> {
    let mut writer = WriterBuilder::new().delimiter(delimiter).quote_style(QuoteStyle::Always).from_writer(Vec::new());
    for row in rows {
        writer.write_record(row.iter().map(|cell| guarded(cell).into_owned()))?;
    }
    writer.into_inner().context("the rows cannot be written")
}

fn cells(contact: &Contact) -> [String; COLUMNS.len()] {
    COLUMNS.map(|(_, cell)| cell(contact))
}

fn text(text: &Option<String>) -> String {
    text.clone().unwrap_or_default()
}

fn instant(at: Option<DateTime<Utc>>) -> String {
    at.map(output::whole_second).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::files::formula_guard::unguarded;

    fn contact(external_id: &str) -> Contact {
        serde_json::from_value(json!({
            "contact_id": "01928c8e-0000-7000-8000-000000000000", "external_id": external_id, "phone": "+5511988887777",
            "status": "sent", "reference": "7K3F9Q", "variation": 1, "attempts": 1, "resends": 0, "reason": null,
            "message_id": "3EB0", "sent_at": "2026-11-23T13:00:00.123Z", "delivered_at": null, "read_at": null,
            "metadata": {"titulo": "a;b\n\"c\", =1+1"},
        }))
        .unwrap()
    }

    fn read(bytes: &[u8], delimiter: u8) -> Vec<csv::StringRecord> {
        let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).has_headers(false).from_reader(bytes);
        reader.records().collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn exported_cells_are_restored_by_a_csv_reader() {
        let contacts = [contact("=HYPERLINK(\"http://x\";\"y\")"), contact("-1+1"), contact("NF,1;2\t\"3\"\n4")];
        for delimiter in [b',', b';', b'\t', b'|'] {
            let mut bytes = header(delimiter, false).unwrap();
            bytes.extend(rows(delimiter, contacts.iter().map(cells)).unwrap());
            let records = read(&bytes, delimiter);
            assert_eq!(records[0].iter().collect::<Vec<_>>(), COLUMNS.map(|(name, _)| name));
            for (record, contact) in records[1..].iter().zip(&contacts) {
                assert!(!record.iter().any(|cell| cell.starts_with(['=', '+', '-', '@', '\t', '\r'])), "{record:?}");
                let cells = cells(contact);
                assert_eq!(record.iter().map(unguarded).collect::<Vec<_>>(), cells.each_ref().map(String::as_str));
            }
            assert_eq!(&records[1][1], "'+5511988887777");
            assert_eq!(&records[1][9], "2026-11-23T13:00:00Z");
        }
    }

    #[test]
    fn byte_order_mark_is_written_once_at_the_beginning() {
        let bytes = header(b';', true).unwrap();
        assert!(bytes.starts_with(b"\xEF\xBB\xBF\"external_id\";\"phone\""));
        assert!(!rows(b';', [cells(&contact("a"))]).unwrap().starts_with(BYTE_ORDER_MARK));
    }

    #[test]
    fn delimiter_is_one_of_four_characters() {
        assert_eq!((delimiter(";"), delimiter("tab")), (Ok(b';'), Ok(b'\t')));
        assert!(delimiter("").is_err() && delimiter("\"").is_err() && delimiter(";;").is_err());
    }
}
