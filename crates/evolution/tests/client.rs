//! The client against real sockets: the request it writes, the absence of retries, and the outcome of each failure.

#![expect(clippy::unwrap_used, reason = "a missing fixture ends the test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::Redirect;
use axum::routing::{get, post};
use regua_domain::PhoneNumber;
use regua_evolution::{
    AllowedNetworks, ClientSettings, ConnectionState, EvolutionClient, InstanceAddress, MAX_RESPONSE_BYTES, Outcome,
    Reason, Token,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const SENT: &str = r#"{"key":{"id":"3EB0","remoteJid":"5511988887777@s.whatsapp.net","fromMe":true}}"#;

async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

fn instance(base_url: &str, name: &str) -> InstanceAddress {
    InstanceAddress::parse(base_url, name, Token::parse("segredo").unwrap()).unwrap()
}

fn debtor() -> PhoneNumber {
    PhoneNumber::parse("(11) 98888-7777").unwrap()
}

fn settings() -> ClientSettings {
    ClientSettings::with_networks(AllowedNetworks::with_loopback())
}

fn client() -> EvolutionClient {
    EvolutionClient::new(settings()).unwrap()
}

async fn send(base_url: &str) -> Outcome {
    client().send_text(&instance(base_url, "matriz"), &debtor(), "Olá").await
}

#[tokio::test]
async fn send_is_one_post_with_the_key_and_no_query() {
    let handler = |uri: Uri, headers: HeaderMap, body: Bytes| async move {
        assert_eq!(uri, "/evolution/message/sendText/filial%2F1%3FinstanceName=b");
        assert_eq!(headers["apikey"], "segredo");
        assert_eq!(headers[header::CONTENT_TYPE], "application/json");
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body, json!({"number": "5511988887777", "text": "Olá", "linkPreview": false}));
        (StatusCode::CREATED, SENT)
    };
    let base_url = serve(Router::new().route("/evolution/message/sendText/{instance}", post(handler))).await;
    let address = instance(&format!("{base_url}/evolution"), "filial/1?instanceName=b");
    let outcome = client().send_text(&address, &debtor(), "Olá").await;
    let expected = Outcome::Sent { message_id: "3EB0".into(), remote_jid: "5511988887777@s.whatsapp.net".into() };
    assert_eq!(outcome, expected);
}

#[tokio::test]
async fn refused_connection_is_not_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let outcome = send(&format!("http://{address}")).await;
    assert_eq!(outcome, Outcome::NotSent { reason: Reason::GatewayUnreachable, retry: true });
    assert!(outcome.suggests_instance_down());
}

#[tokio::test]
async fn unknown_host_is_not_sent() {
    let outcome = send("http://evolution.invalid").await;
    assert_eq!(outcome, Outcome::NotSent { reason: Reason::GatewayUnreachable, retry: true });
}

#[tokio::test]
async fn server_without_tls_is_not_sent() {
    let base_url = serve(Router::new()).await;
    let outcome = send(&base_url.replace("http://", "https://")).await;
    assert_eq!(outcome, Outcome::NotSent { reason: Reason::GatewayUnreachable, retry: true });
}

#[tokio::test]
async fn timeout_is_unknown() {
    let base_url = serve(Router::new().fallback(std::future::pending::<()>)).await;
    let settings = ClientSettings {
        send_timeout: Duration::from_millis(50),
        check_timeout: Duration::from_millis(50),
        ..settings()
    };
    let (client, address) = (EvolutionClient::new(settings).unwrap(), instance(&base_url, "matriz"));
    let outcome = client.send_text(&address, &debtor(), "Olá").await;
    assert_eq!(outcome, Outcome::Unknown { reason: Reason::NoAnswer });
    let state = client.connection_state(&address).await;
    assert_eq!(state, ConnectionState::Unreachable { reason: Reason::NoAnswer });
}

/// Reads each request, writes `answer`, closes the connection, and counts the requests.
async fn raw_server(answer: &'static [u8]) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&requests);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let read = stream.read(&mut request).await.unwrap_or(0);
            counter.fetch_add(usize::from(read > 0), Ordering::SeqCst);
            let _ = stream.write_all(answer).await;
        }
    });
    (base_url, requests)
}

#[tokio::test]
async fn connection_closed_without_answer_is_unknown_and_not_retried() {
    let (base_url, requests) = raw_server(b"").await;
    assert_eq!(send(&base_url).await, Outcome::Unknown { reason: Reason::NoAnswer });
    assert_eq!(requests.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn truncated_answer_is_unknown() {
    let (base_url, requests) = raw_server(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 100\r\n\r\n{\"sta").await;
    assert_eq!(send(&base_url).await, Outcome::Unknown { reason: Reason::NoAnswer });
    assert_eq!(requests.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn oversized_answer_is_unknown() {
    let long = |extra: usize| "x".repeat(MAX_RESPONSE_BYTES + extra);
    let handler = move || async move { (StatusCode::UNAUTHORIZED, long(1)) };
    let base_url = serve(Router::new().fallback(handler)).await;
    assert_eq!(send(&base_url).await, Outcome::Unknown { reason: Reason::NoAnswer });
}

#[tokio::test]
async fn redirect_is_not_followed() {
    let router = Router::new().fallback(|| async { Redirect::permanent("/elsewhere") });
    let base_url = serve(router.route("/elsewhere", post((StatusCode::CREATED, SENT)))).await;
    assert_eq!(send(&base_url).await, Outcome::Unknown { reason: Reason::Unrecognised });
}

#[tokio::test]
async fn connection_state_is_requested_by_name_and_key() {
    let handler = |headers: HeaderMap| async move {
        assert_eq!(headers["apikey"], "segredo");
        r#"{"instance":{"instanceName":"matriz","state":"open"}}"#
    };
    let base_url = serve(Router::new().route("/instance/connectionState/matriz", get(handler))).await;
    assert_eq!(client().connection_state(&instance(&base_url, "matriz")).await, ConnectionState::Open);
    let elsewhere = client().connection_state(&instance(&base_url, "filial")).await;
    assert_eq!(elsewhere, ConnectionState::Unreachable { reason: Reason::RouteUnknown });
}
