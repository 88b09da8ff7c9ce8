//! What comes from outside and is read by the command line, for the fuzz program of the tests. No command comes through here.

use regua_domain::MessageType;
use reqwest::StatusCode;

use crate::client::Problem;
use crate::contact_file::ContactFile;
use crate::export;

/// A file of contacts: each contact's JSON with its place, and what a batch of the file is called.
///
/// # Errors
/// When the file is refused whole.
pub fn contact_file(bytes: &[u8], message_type: MessageType) -> anyhow::Result<(String, Vec<(String, String)>)> {
    let file = ContactFile::parse(bytes, message_type)?;
    let contacts = file.contacts.iter().map(|contact| (contact.place.to_string(), contact.json.get().to_owned()));
    Ok((file.default_id, contacts.collect()))
}

/// An answer of the API that is no success: what is said of it, and how many contacts of a batch it refuses.
pub fn problem(status: u16, body: &[u8]) -> (String, usize) {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let problem = Problem::parse(status, body);
    (problem.to_string(), problem.rejected_contacts().map_or(0, |contacts| contacts.len()))
}

/// A cell of an export, guarded.
pub fn guarded(cell: &str) -> String {
    export::guarded(cell).into_owned()
}
