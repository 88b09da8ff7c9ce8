//! The table of outcomes, row by row, with the bodies that were captured from Evolution API 2.3.7. The properties at the
//! end hold for answers that are in no row.

use proptest::prelude::*;
use regua_evolution::{Outcome, Reason, Reply, outcome};
use serde_json::{Value, json};

fn answered(status: u16, body: &str) -> Outcome {
    outcome(&Reply::Answered { status, body: body.as_bytes().to_vec() })
}

fn enveloped(status: u16, error: &str, message: &Value) -> Outcome {
    answered(status, &json!({"status": status, "error": error, "response": {"message": message}}).to_string())
}

fn not_sent(reason: Reason) -> Outcome {
    Outcome::NotSent { reason, retry: true }
}

fn refused(reason: Reason) -> Outcome {
    Outcome::Refused { reason }
}

fn unknown(reason: Reason) -> Outcome {
    Outcome::Unknown { reason }
}

#[test]
fn a_201_with_a_key_is_sent() {
    let evolution = r#"{"key":{"fromMe":true,"id":"9caf17c0-a329-4d48-846a-ea74cdba4726","remoteJid":"5511988887777"},
        "message":{"conversation":"Fatura 2026-11 vence amanha. ref INV-000123"},"messageType":"conversation",
        "messageTimestamp":1795229804,"source":"unknown","instanceId":"aed3"}"#;
    let baileys = r#"{"key":{"remoteJid":"553188887777@s.whatsapp.net","fromMe":true,"id":"3EB0C767D26A8A5C1F0A2B"},
        "pushName":"Você","status":"PENDING","message":{"conversation":"…"},"contextInfo":{},
        "messageType":"conversation","messageTimestamp":1785534655,"instanceId":"…","source":"web"}"#;
    let cases = [
        (evolution, "9caf17c0-a329-4d48-846a-ea74cdba4726", "5511988887777"),
        (baileys, "3EB0C767D26A8A5C1F0A2B", "553188887777@s.whatsapp.net"),
        (r#"{"key":{"id":"3EB0"}}"#, "3EB0", ""),
    ];
    for (body, message_id, remote_jid) in cases {
        let expected = Outcome::Sent { message_id: message_id.into(), remote_jid: remote_jid.into() };
        assert_eq!(answered(201, body), expected);
    }
}

#[test]
fn a_201_without_a_message_id_is_unknown() {
    for body in ["", "{}", r#"{"key":{}}"#, r#"{"key":{"id":""}}"#, r#"{"key":{"id":7}}"#, "<html>", "null"] {
        assert_eq!(answered(201, body), unknown(Reason::SuccessWithoutId), "{body}");
    }
}

#[test]
fn a_400_is_classified_by_its_message() {
    let database = "DriverAdapterError: new row for relation \"Message\" violates check constraint";
    let prisma = "PrismaClientKnownRequestError: … Can't reach database server …";
    let never = "TypeError: Cannot read properties of undefined (reading 'id')";
    let cases = [
        (json!([["instance requires property \"number\""]]), refused(Reason::InvalidRequest)),
        (json!([["Invalid format"]]), refused(Reason::InvalidRequest)),
        (json!([["Enter a value in milliseconds"]]), refused(Reason::InvalidRequest)),
        (
            json!([["instance requires property \"number\"", "instance requires property \"text\""]]),
            refused(Reason::InvalidRequest),
        ),
        (json!([["mediatype is not one of enum values: image,document,video,audio"]]), refused(Reason::InvalidRequest)),
        (json!(["For base64 the file name must be informed."]), refused(Reason::InvalidMedia)),
        (json!(["Owned media must be a url or base64"]), refused(Reason::InvalidMedia)),
        (json!(["Text is required"]), refused(Reason::BlankText)),
        (
            json!([{"jid": "5511900000000@s.whatsapp.net", "exists": false, "number": "5511900000000"}]),
            refused(Reason::NumberNotOnWhatsapp),
        ),
        (json!(["Error: Connection Closed"]), not_sent(Reason::ConnectionClosed)),
        (json!(["Error: Timed Out"]), unknown(Reason::WriteTimedOut)),
        (json!([database]), unknown(Reason::GatewayDatabase)),
        (json!([prisma]), unknown(Reason::GatewayDatabase)),
        (json!(["Error: the database system is shutting down"]), unknown(Reason::GatewayDatabase)),
        (json!([never]), unknown(Reason::NeverAuthenticated)),
        (json!(["[object Object]"]), unknown(Reason::Unrecognised)),
        (json!(["Error: Connection Closed", "Error: Connection Closed"]), unknown(Reason::Unrecognised)),
        (json!([{"jid": "…", "exists": true, "number": "…"}]), unknown(Reason::Unrecognised)),
        (json!([[]]), unknown(Reason::Unrecognised)),
        (json!([]), unknown(Reason::Unrecognised)),
        (json!("Connection Closed"), unknown(Reason::Unrecognised)),
        (json!(["Invalid integration"]), unknown(Reason::Unrecognised)),
    ];
    for (message, expected) in cases {
        assert_eq!(enveloped(400, "Bad Request", &message), expected, "{message}");
    }
}

#[test]
fn a_400_without_the_envelope_is_unknown() {
    let malformed = json!("Expected property name or '}' in JSON at position 1");
    assert_eq!(enveloped(400, "Internal Server Error", &malformed), unknown(Reason::Unrecognised));
    let boom = r#"{"data":null,"isBoom":true,"isServer":false,"output":{"statusCode":428,"payload":{"statusCode":428,
        "error":"Precondition Required","message":"Connection Closed"},"headers":{}}}"#;
    for body in [boom, "{}", "", "<html>400</html>", r#"{"status":400,"error":"Bad Request","message":["x"]}"#] {
        assert_eq!(answered(400, body), unknown(Reason::Unrecognised), "{body}");
    }
}

#[test]
fn a_500_in_the_envelope_is_not_sent() {
    let cases = [
        (json!("Cannot read properties of undefined (reading 'onWhatsApp')"), Reason::NeverConnected),
        (json!("Connection Closed"), Reason::ConnectionClosed),
        (json!(["Error: Connection Closed"]), Reason::ConnectionClosed),
        (json!("Cannot read properties of undefined (reading 'textMessage')"), Reason::InstanceNotLoaded),
        (json!("Cannot read properties of undefined (reading 'find')"), Reason::LookupTimedOut),
        (json!(["Error: Media upload failed on all hosts"]), Reason::GatewayError),
        (json!("anything else"), Reason::GatewayError),
    ];
    for (message, reason) in cases {
        assert_eq!(enveloped(500, "Internal Server Error", &message), not_sent(reason), "{message}");
    }
}

#[test]
fn answers_of_the_guards_are_not_sent() {
    let cases = [
        (401, "Unauthorized", json!("Unauthorized"), Reason::Unauthorized),
        (403, "Forbidden", json!(["This name \"evo1\" is already in use."]), Reason::Forbidden),
        (404, "Not Found", json!(["The \"ghost\" instance does not exist"]), Reason::InstanceUnknown),
        (404, "Not Found", json!(["Cannot GET /nope"]), Reason::RouteUnknown),
    ];
    for (status, error, message, reason) in cases {
        assert_eq!(enveloped(status, error, &message), not_sent(reason));
    }
    let railway = r#"{"status":"error","code":404,"message":"Application not found"}"#;
    assert_eq!(answered(404, railway), not_sent(Reason::RouteUnknown));
}

#[test]
fn missing_licence_is_not_sent_and_proxy_error_is_unknown() {
    let licence = r#"{"error":"service not activated","code":"LICENSE_REQUIRED","register_url":"…","instance_id":"…"}"#;
    assert_eq!(answered(503, licence), not_sent(Reason::LicenceRequired));
    for status in [500, 502, 503, 504, 599] {
        assert_eq!(answered(status, "<html>Bad Gateway</html>"), unknown(Reason::BadGateway), "{status}");
    }
}

#[test]
fn unwritten_request_is_not_sent_and_lost_answer_is_unknown() {
    assert_eq!(outcome(&Reply::NotConnected), not_sent(Reason::GatewayUnreachable));
    assert_eq!(outcome(&Reply::NotAllowed), not_sent(Reason::AddressNotAllowed));
    assert_eq!(outcome(&Reply::Lost), unknown(Reason::NoAnswer));
    for status in [100, 200, 202, 204, 301, 308, 402, 405, 408, 409, 413, 429] {
        assert_eq!(answered(status, r#"{"key":{"id":"3EB0"}}"#), unknown(Reason::Unrecognised), "{status}");
    }
}

#[test]
fn suggests_instance_down_when_its_next_send_would_fail() {
    let down = [
        outcome(&Reply::NotConnected),
        answered(401, ""),
        answered(404, ""),
        answered(503, r#"{"code":"LICENSE_REQUIRED"}"#),
        enveloped(400, "Bad Request", &json!(["Error: Connection Closed"])),
        enveloped(500, "Internal Server Error", &json!("Connection Closed")),
        enveloped(500, "Internal Server Error", &json!("… (reading 'onWhatsApp')")),
        enveloped(500, "Internal Server Error", &json!("… (reading 'textMessage')")),
        enveloped(400, "Bad Request", &json!(["TypeError: … (reading 'id')"])),
    ];
    assert!(down.iter().all(Outcome::suggests_instance_down), "{down:?}");
    let up = [
        outcome(&Reply::Lost),
        answered(201, r#"{"key":{"id":"3EB0"}}"#),
        answered(502, ""),
        enveloped(400, "Bad Request", &json!(["Error: Timed Out"])),
        enveloped(400, "Bad Request", &json!([{"exists": false}])),
    ];
    assert!(!up.iter().any(Outcome::suggests_instance_down), "{up:?}");
}

#[test]
fn debug_shows_neither_number_nor_text() {
    let body = r#"{"key":{"id":"3EB0","remoteJid":"5511988887777"},"message":{"conversation":"Fatura"}}"#;
    let reply = Reply::Answered { status: 201, body: body.into() };
    let shown = format!("{reply:?} {:?}", outcome(&reply));
    assert!(!shown.contains("5511988887777") && !shown.contains("Fatura"), "{shown}");
}

/// The rows that prove that nothing left, written independently of the code.
fn table_says_not_sent(status: u16, body: &str) -> bool {
    let body: Value = serde_json::from_str(body).unwrap_or(Value::Null);
    let message = &body["response"]["message"];
    let enveloped =
        body["status"] == status && body["error"].is_string() && (message.is_string() || message.is_array());
    match status {
        401 | 403 | 404 => true,
        500 => enveloped,
        400 => enveloped && *message == json!(["Error: Connection Closed"]),
        503 => body["code"] == "LICENSE_REQUIRED",
        _ => false,
    }
}

/// Bodies that look like Evolution's, and some that do not.
fn bodies() -> impl Strategy<Value = String> {
    let sentence = prop_oneof![
        Just("Error: Connection Closed".to_owned()),
        Just("Error: Timed Out".to_owned()),
        Just("Text is required".to_owned()),
        Just("LICENSE_REQUIRED".to_owned()),
        any::<String>(),
    ];
    let message = sentence.prop_flat_map(|text| {
        prop_oneof![
            Just(json!(text)),
            Just(json!([text])),
            Just(json!([[text]])),
            Just(json!([{"exists": false, "number": text}])),
            Just(json!({"message": text})),
        ]
    });
    let shaped = (100_u16..600, message, any::<bool>()).prop_map(|(status, message, whole)| {
        let code = message.clone();
        let body = json!({"status": status, "error": "Bad Request", "code": code, "response": {"message": message}});
        if whole { body.to_string() } else { body["response"].to_string() }
    });
    prop_oneof![shaped, any::<String>()]
}

proptest! {
    #[test]
    fn only_the_table_yields_not_sent(status in 0_u16..1_000, body in bodies()) {
        let not_sent = matches!(answered(status, &body), Outcome::NotSent { .. });
        prop_assert_eq!(not_sent, table_says_not_sent(status, &body));
    }

    #[test]
    fn only_a_201_yields_sent(status in any::<u16>(), body in bodies()) {
        let sent = matches!(answered(status, &body), Outcome::Sent { .. });
        prop_assert!(status == 201 || !sent);
    }

    #[test]
    fn any_bytes_have_an_outcome(status in any::<u16>(), body in any::<Vec<u8>>()) {
        let outcome = outcome(&Reply::Answered { status, body });
        prop_assert!(outcome.reason().is_some());
    }
}
