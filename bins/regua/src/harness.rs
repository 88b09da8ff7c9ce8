//! Entry points for the fuzz targets of the tests: the parsers of the command line. No command calls them.

use regua_domain::MessageType;
use reqwest::StatusCode;

use crate::client::Problem;
use crate::files::contact_file::ContactFile;
use crate::files::formula_guard;

/// Parses a contact file: its default external id, and each contact's place and JSON.
pub fn contact_file(bytes: &[u8], message_type: MessageType) -> anyhow::Result<(String, Vec<(String, String)>)> {
    let file = ContactFile::parse(bytes, message_type)?;
    let contacts = file.contacts.iter().map(|contact| (contact.place.to_string(), contact.json.get().to_owned()));
    Ok((file.default_id, contacts.collect()))
}

/// Parses an error answer of the API: the printed text, and how many contacts it rejects.
pub fn problem(status: u16, body: &[u8]) -> (String, usize) {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let problem = Problem::parse(status, body);
    (problem.to_string(), problem.rejected_contacts().map_or(0, |contacts| contacts.len()))
}

/// Guards a cell of an export.
pub fn guarded(cell: &str) -> String {
    formula_guard::guarded(cell).into_owned()
}
