//! Bodies in the forms in which programs send them: charsets, compression, media types, and a slash after the path.

use std::io::Write;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use regua_tests::{Answer, Client, batch};
use reqwest::{Method, StatusCode};
use serde_json::json;

use super::{SEND, assert_problem, end_with_empty_tables, idle_fleet};

const NAME: &str = "Conceição";
const JSON: &str = "application/json";

/// A dry run for one contact with a name beyond ASCII.
fn body() -> String {
    let mut batch = batch("lote-a", 1);
    batch["dry_run"] = json!(true);
    batch["contacts"][0]["name"] = json!(NAME);
    batch.to_string()
}

/// The same in ISO-8859-1.
fn latin1() -> Vec<u8> {
    body().chars().map(|character| u8::try_from(u32::from(character)).unwrap()).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

async fn post(erp: &Client, path: &str, content_type: &str, encoding: &str, body: Vec<u8>) -> Answer {
    let request = erp.request(Method::POST, path).header("Content-Type", content_type);
    let request = if encoding.is_empty() { request } else { request.header("Content-Encoding", encoding) };
    Client::answer(request.body(body)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn usual_forms_of_a_body_are_read() {
    let (fleet, _, erp) = idle_fleet().await;
    let (utf8, slash) = (body().into_bytes(), format!("{SEND}/"));
    let with_mark = [b"\xEF\xBB\xBF", utf8.as_slice()].concat();
    for (what, path, content_type, encoding, body) in [
        ("UTF-8", SEND, JSON, "", utf8.clone()),
        ("a byte order mark", SEND, JSON, "", with_mark),
        ("a slash after the path", slash.as_str(), JSON, "", utf8.clone()),
        ("text/json", SEND, "text/json; charset=utf-8", "", utf8.clone()),
        ("gzip", SEND, JSON, "gzip", gzip(&utf8)),
        ("deflate", SEND, JSON, "deflate", deflate(&utf8)),
        ("ISO-8859-1", SEND, "application/json; charset=ISO-8859-1", "", latin1()),
        ("windows-1252", SEND, "application/json;charset=\"windows-1252\"", "", latin1()),
        ("ISO-8859-1 in gzip", SEND, "application/json; charset=iso-8859-1", "gzip", gzip(&latin1())),
    ] {
        let answer = post(&erp, path, content_type, encoding, body).await;
        assert_eq!(answer.status, StatusCode::OK, "{what}: {:#}", answer.body);
        assert!(answer.body["contacts"][0]["text"].as_str().unwrap().contains(NAME), "{what}: {:#}", answer.body);
    }
    let answer = erp.call(Method::GET, "/api/v1/billing/queues/", None).await;
    assert_eq!(answer.status, StatusCode::OK, "{:#}", answer.body);
    end_with_empty_tables(fleet).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn body_in_another_form_is_refused_with_the_remedy() {
    let (fleet, _, erp) = idle_fleet().await;
    let whole = gzip(body().as_bytes());
    let bomb = gzip(&vec![b' '; 60 << 20]);
    assert!(bomb.len() < 1 << 20);
    for (what, content_type, encoding, body, status, code, remedy) in [
        ("no charset", JSON, "", latin1(), 400, "malformed_json", "0xE7 na linha 1"),
        ("half a body", JSON, "gzip", whole[..whole.len() / 2].to_vec(), 400, "malformed_json", "danificado"),
        ("no gzip", JSON, "gzip", latin1(), 400, "malformed_json", "danificado"),
        ("unpacked beyond the limit", JSON, "gzip", bomb, 413, "body_too_large", "Divida"),
        ("br", JSON, "br", whole.clone(), 415, "unsupported_media_type", "gzip"),
        ("an unknown charset", "application/json; charset=x", "", latin1(), 415, "unsupported_media_type", "UTF-8"),
        (
            "a form",
            "application/x-www-form-urlencoded",
            "",
            latin1(),
            415,
            "unsupported_media_type",
            "application/json",
        ),
        ("wrong bytes", "application/json; charset=utf-16le", "", latin1(), 400, "malformed_json", ""),
    ] {
        let answer = post(&erp, SEND, content_type, encoding, body).await;
        assert_problem(&answer, status, code);
        assert!(answer.body["detail"].as_str().unwrap().contains(remedy), "{what}: {:#}", answer.body);
    }
    end_with_empty_tables(fleet).await;
}
