//! The look for a message in an instance's history (findMessages). A found message has left; a look without a result
//! proves nothing. Evolution's filters are unreliable, so this module checks every row again.

use chrono::{DateTime, SecondsFormat, Utc};
use regua_domain::{PhoneNumber, Reference};
use serde_json::{Value, json};

use crate::message::{is_message_id, is_same_text, text_of};
use crate::outcome::Reply;
use crate::reason::Reason;

const ROWS_PER_PAGE: usize = 100;
/// Most pages that a look reads. No recipient gets more messages in the time of a search.
pub(crate) const MAX_PAGES: usize = 10;

/// The message that is looked for.
#[derive(Clone)]
pub struct Search {
    /// The recipient.
    pub number: PhoneNumber,
    /// The reference in its text.
    pub reference: Reference,
    /// Its text, because another message may quote the reference.
    pub text: String,
    /// Earliest time at which the message may have left.
    pub from: DateTime<Utc>,
    /// Latest time at which the message may have left.
    pub to: DateTime<Utc>,
}

/// The result of a look.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LookResult {
    /// The message left.
    Found {
        /// WhatsApp's id of it (`key.id`).
        message_id: String,
        /// When it left, to the second.
        left_at: DateTime<Utc>,
    },
    /// The history does not have the message, which proves nothing.
    NotFound,
    /// The history could not be read.
    Failed {
        /// Why.
        reason: Reason,
    },
}

impl Search {
    /// The jids that the number may have: with and without a Brazilian mobile's ninth digit.
    pub(crate) fn jids(&self) -> Vec<String> {
        self.number.whatsapp_digits().into_iter().map(|digits| format!("{digits}@s.whatsapp.net")).collect()
    }

    /// The body of a findMessages request. With the jid in both fields the filter also finds rows that are stored under
    /// a LID. Evolution ignores the time unless both bounds are text.
    pub(crate) fn query(&self, jid: &str, page: usize) -> Value {
        let instant = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Millis, true);
        json!({
            "where": {
                "key": {"remoteJid": jid, "remoteJidAlt": jid, "fromMe": true},
                "messageTimestamp": {"gte": instant(self.from), "lte": instant(self.to)},
            },
            "offset": ROWS_PER_PAGE,
            "page": page,
        })
    }

    fn match_row(&self, row: &Value, jids: &[String]) -> Option<LookResult> {
        let key = &row["key"];
        let is_to = |field: &str| key[field].as_str().is_some_and(|jid| jids.iter().any(|wanted| wanted == jid));
        let left_at = DateTime::from_timestamp(row["messageTimestamp"].as_i64()?, 0)?;
        // The row's time has whole seconds.
        let in_time = left_at.timestamp() >= self.from.timestamp() && left_at <= self.to;
        let is_ours = key["fromMe"] == true && (is_to("remoteJid") || is_to("remoteJidAlt")) && in_time;
        let has_text = text_of(&row["message"])
            .is_some_and(|text| self.reference.appears_in(text) && is_same_text(text, &self.text));
        let message_id = key["id"].as_str().filter(|id| is_message_id(id))?.to_owned();
        (is_ours && has_text).then_some(LookResult::Found { message_id, left_at })
    }
}

/// The result of one page, and whether another page follows.
pub(crate) fn read_page(search: &Search, jids: &[String], page: usize, reply: &Reply) -> (LookResult, bool) {
    let failed = |reason| (LookResult::Failed { reason }, false);
    let Reply::Answered { status: 200, body } = reply else { return failed(reply.failure_reason()) };
    let body: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let messages = &body["messages"];
    let Some(records) = messages["records"].as_array() else { return failed(Reason::Unrecognised) };
    let result = records.iter().find_map(|row| search.match_row(row, jids)).unwrap_or(LookResult::NotFound);
    let pages = messages["pages"].as_u64().and_then(|pages| usize::try_from(pages).ok());
    match (&result, pages) {
        // Without the number of pages the history may have more rows.
        (LookResult::NotFound, None) => failed(Reason::Unrecognised),
        (_, pages) => (result, pages.is_some_and(|pages| page < pages)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search() -> Search {
        Search {
            number: PhoneNumber::parse("+5531988887777").unwrap(),
            reference: Reference::parse("7K3F9Q").unwrap(),
            text: "Olá. Ref. 7K3F9Q".to_owned(),
            from: "2026-11-21T12:00:00Z".parse().unwrap(),
            to: "2026-11-21T13:00:00Z".parse().unwrap(),
        }
    }

    fn row(change: impl FnOnce(&mut Value)) -> Value {
        let mut row = json!({
            "key": {"id": "3EB01", "fromMe": true, "remoteJid": "553188887777@s.whatsapp.net"},
            "message": {"conversation": "Olá. Ref. 7K3F9Q"},
            "messageTimestamp": search().from.timestamp() + 60,
        });
        change(&mut row);
        row
    }

    fn read(rows: &[Value]) -> (LookResult, bool) {
        let body = json!({"messages": {"total": rows.len(), "pages": 1, "currentPage": 1, "records": rows}});
        let reply = Reply::Answered { status: 200, body: body.to_string().into_bytes() };
        read_page(&search(), &search().jids(), 1, &reply)
    }

    #[test]
    fn matching_row_proves_that_the_message_left() {
        let left_at = search().from + chrono::TimeDelta::seconds(60);
        let proof = (LookResult::Found { message_id: "3EB01".to_owned(), left_at }, false);
        assert_eq!(read(&[row(|_| ())]), proof);
        assert_eq!(read(&[row(|row| row["key"]["remoteJid"] = json!("5531988887777@s.whatsapp.net"))]), proof);
        let by_lid = row(|row| {
            row["key"]["remoteJid"] = json!("123@lid");
            row["key"]["remoteJidAlt"] = json!("553188887777@s.whatsapp.net");
        });
        assert_eq!(read(&[by_lid]), proof);
        let extended = row(|row| row["message"] = json!({"extendedTextMessage": {"text": "Olá.\nRef.  7K3F9Q"}}));
        assert_eq!(read(&[extended]), proof);
    }

    #[test]
    fn row_outside_the_filters_is_no_proof() {
        let strangers: [fn(&mut Value); 7] = [
            |row| row["message"] = json!({"conversation": "Sobre a Ref. 7K3F9Q: já pagou?"}),
            |row| row["key"]["fromMe"] = json!(false),
            |row| row["key"]["remoteJid"] = json!("5511999990000@s.whatsapp.net"),
            |row| row["message"] = json!({"conversation": "Ref. 7K3F9R"}),
            |row| row["messageTimestamp"] = json!(1),
            |row| row["messageTimestamp"] = json!("soon"),
            |row| row["key"]["id"] = json!(""),
        ];
        for stranger in strangers {
            assert_eq!(read(&[row(stranger)]), (LookResult::NotFound, false), "{}", row(stranger));
        }
        assert_eq!(read(&[]), (LookResult::NotFound, false));
    }

    #[test]
    fn error_answer_is_a_failed_look() {
        let look = |reply: &Reply| read_page(&search(), &search().jids(), 1, reply).0;
        let unauthorized = br#"{"status":401,"error":"Unauthorized","response":{"message":"Unauthorized"}}"#;
        let down = Reply::Answered { status: 401, body: unauthorized.to_vec() };
        assert_eq!(look(&down), LookResult::Failed { reason: Reason::Unauthorized });
        let endless = Reply::Answered { status: 200, body: br#"{"messages": {"records": []}}"#.to_vec() };
        assert_eq!(look(&endless), LookResult::Failed { reason: Reason::Unrecognised });
        let odd = Reply::Answered { status: 200, body: b"[]".to_vec() };
        assert_eq!(look(&odd), LookResult::Failed { reason: Reason::Unrecognised });
        assert_eq!(look(&Reply::Lost), LookResult::Failed { reason: Reason::NoAnswer });
        assert_eq!(look(&Reply::NotConnected), LookResult::Failed { reason: Reason::GatewayUnreachable });
    }

    #[test]
    fn query_has_both_time_bounds_as_text_and_both_jid_fields() {
        let query = search().query("553188887777@s.whatsapp.net", 2);
        assert_eq!(query["where"]["messageTimestamp"]["gte"], "2026-11-21T12:00:00.000Z");
        assert_eq!(query["where"]["key"]["remoteJidAlt"], query["where"]["key"]["remoteJid"]);
        assert_eq!((&query["page"], &query["offset"]), (&json!(2), &json!(ROWS_PER_PAGE)));
    }
}
