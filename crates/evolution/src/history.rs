//! Looking for a message among what an instance has sent (findMessages). What is found proves that it left; what is not
//! found proves nothing. Evolution's filters are asked for and never relied on: every row is judged again here.

use chrono::{DateTime, SecondsFormat, Utc};
use regua_domain::{PhoneNumber, Reference};
use serde_json::{Value, json};

use crate::outcome::{Reply, outcome};
use crate::reason::Reason;

/// Rows of one page.
const PAGE: usize = 100;
/// Pages that are read at most: a recipient has never got that many messages in a few hours.
pub(crate) const MOST_PAGES: usize = 10;

/// What is looked for: a message of ours to one number, with one reference, within a time.
#[derive(Clone)]
pub struct Search {
    /// Whom it went to.
    pub number: PhoneNumber,
    /// In its text.
    pub reference: Reference,
    /// Its text: to quote a reference is not to send its message.
    pub text: String,
    /// Not before.
    pub from: DateTime<Utc>,
    /// Not after.
    pub to: DateTime<Utc>,
}

/// What a look came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Found {
    /// It is there, so it left.
    Message {
        /// WhatsApp's id of it (`key.id`).
        message_id: String,
        /// When it left, to the second.
        left_at: DateTime<Utc>,
    },
    /// It is not there, which proves nothing.
    Nothing,
    /// Nobody could look.
    Unseen {
        /// Why.
        reason: Reason,
    },
}

impl Search {
    /// The jids under which the number may stand: with and without a Brazilian mobile's ninth digit.
    pub(crate) fn jids(&self) -> Vec<String> {
        self.number.whatsapp_digits().into_iter().map(|digits| format!("{digits}@s.whatsapp.net")).collect()
    }

    /// The same jid in both fields also finds rows that are stored under a LID. The time counts only with both bounds,
    /// as text.
    pub(crate) fn query(&self, jid: &str, page: usize) -> Value {
        let instant = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Millis, true);
        json!({
            "where": {
                "key": {"remoteJid": jid, "remoteJidAlt": jid, "fromMe": true},
                "messageTimestamp": {"gte": instant(self.from), "lte": instant(self.to)},
            },
            "offset": PAGE,
            "page": page,
        })
    }

    fn takes(&self, row: &Value, jids: &[String]) -> Option<Found> {
        let key = &row["key"];
        let is_to = |field: &str| key[field].as_str().is_some_and(|jid| jids.iter().any(|wanted| wanted == jid));
        let left_at = DateTime::from_timestamp(row["messageTimestamp"].as_i64()?, 0)?;
        // The row's time is cut to the second.
        let in_time = left_at.timestamp() >= self.from.timestamp() && left_at <= self.to;
        let is_ours = key["fromMe"] == true && (is_to("remoteJid") || is_to("remoteJidAlt")) && in_time;
        let carries = text_of(&row["message"])
            .is_some_and(|text| self.reference.stands_in(text) && is_same_text(text, &self.text));
        let message_id = key["id"].as_str().filter(|id| is_id(id))?.to_owned();
        (is_ours && carries).then_some(Found::Message { message_id, left_at })
    }
}

/// Longer than any id of WhatsApp or of Evolution.
const LONGEST_ID: usize = 200;

/// Nothing that a database would choke on, or that is no id at all.
pub(crate) fn is_id(id: &str) -> bool {
    !id.is_empty() && is_storable(id)
}

/// What the gateway says of a message is kept, and a log may show it.
pub(crate) fn is_storable(text: &str) -> bool {
    text.chars().count() <= LONGEST_ID && !text.chars().any(char::is_control)
}

/// The text of a message, however it was sent: with a link in it, Baileys makes it an extended one.
pub(crate) fn text_of(message: &Value) -> Option<&str> {
    message["conversation"].as_str().or_else(|| message["extendedTextMessage"]["text"].as_str())
}

/// Whether two texts are the same but for white space, which may be changed on the way.
pub fn is_same_text(left: &str, right: &str) -> bool {
    let solid = |text: &'_ str| text.chars().filter(|character| !character.is_whitespace()).collect::<String>();
    solid(left) == solid(right)
}

/// What one page says, and whether there is another.
pub(crate) fn read_page(search: &Search, jids: &[String], page: usize, reply: &Reply) -> (Found, bool) {
    let unseen = |reason| (Found::Unseen { reason }, false);
    let Reply::Answered { status: 200, body } = reply else { return unseen(unseen_because(reply)) };
    let body: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let messages = &body["messages"];
    let Some(records) = messages["records"].as_array() else { return unseen(Reason::Unrecognised) };
    let found = records.iter().find_map(|row| search.takes(row, jids)).unwrap_or(Found::Nothing);
    let pages = messages["pages"].as_u64().and_then(|pages| usize::try_from(pages).ok());
    match (&found, pages) {
        // How much there is to read is not known, so nobody can say that all of it was read.
        (Found::Nothing, None) => unseen(Reason::Unrecognised),
        (_, pages) => (found, pages.is_some_and(|pages| page < pages)),
    }
}

/// The errors of the guards are the same on every route.
fn unseen_because(reply: &Reply) -> Reason {
    outcome(reply).reason().unwrap_or(Reason::Unrecognised)
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

    fn read(rows: &[Value]) -> (Found, bool) {
        let body = json!({"messages": {"total": rows.len(), "pages": 1, "currentPage": 1, "records": rows}});
        let reply = Reply::Answered { status: 200, body: body.to_string().into_bytes() };
        read_page(&search(), &search().jids(), 1, &reply)
    }

    #[test]
    fn a_row_that_is_ours_in_every_way_is_the_proof() {
        let left_at = search().from + chrono::TimeDelta::seconds(60);
        let proof = (Found::Message { message_id: "3EB01".to_owned(), left_at }, false);
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
    fn what_evolution_returns_in_spite_of_the_filters_is_no_proof() {
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
            assert_eq!(read(&[row(stranger)]), (Found::Nothing, false), "{}", row(stranger));
        }
        assert_eq!(read(&[]), (Found::Nothing, false));
    }

    #[test]
    fn an_error_is_no_look() {
        let unseen = |reply: &Reply| read_page(&search(), &search().jids(), 1, reply).0;
        let down = Reply::Answered { status: 401, body: b"{}".to_vec() };
        assert_eq!(unseen(&down), Found::Unseen { reason: Reason::Unauthorized });
        let endless = Reply::Answered { status: 200, body: br#"{"messages": {"records": []}}"#.to_vec() };
        assert_eq!(unseen(&endless), Found::Unseen { reason: Reason::Unrecognised });
        let odd = Reply::Answered { status: 200, body: b"[]".to_vec() };
        assert_eq!(unseen(&odd), Found::Unseen { reason: Reason::Unrecognised });
        assert_eq!(unseen(&Reply::Lost), Found::Unseen { reason: Reason::NoAnswer });
        assert_eq!(unseen(&Reply::NotConnected), Found::Unseen { reason: Reason::GatewayUnreachable });
    }

    #[test]
    fn the_query_asks_for_both_bounds_as_text_and_for_both_jids() {
        let query = search().query("553188887777@s.whatsapp.net", 2);
        assert_eq!(query["where"]["messageTimestamp"]["gte"], "2026-11-21T12:00:00.000Z");
        assert_eq!(query["where"]["key"]["remoteJidAlt"], query["where"]["key"]["remoteJid"]);
        assert_eq!((&query["page"], &query["offset"]), (&json!(2), &json!(PAGE)));
    }
}
