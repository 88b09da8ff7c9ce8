//! Wrong passwords, unknown tokens and unknown keys.

use std::time::Duration;

use super::Target;
use super::load::Load;
use super::requests::Flood;
use super::wire::{address, ask, request};

pub(super) async fn log_in_with_wrong_passwords(target: &Target) -> String {
    let body = br#"{"tenant":"nenhum","email":"ana@nenhum.example","password":"errada errada errada"}"#;
    let (api, request) = (target.api, request("POST /api/v1/auth/login", &[], body));
    let load =
        Load { count: target.divided(3000), at_once: 1000, over: target.seconds(10), at_most: target.seconds(15) };
    load.run(|n| ask(api, address(n % 500), request.clone())).await.to_string()
}

/// Thirty at once, and then as many as an address may still make.
pub(super) async fn refresh_with_unknown_tokens(target: &Target) -> String {
    // Well-formed: 64 bytes in base64.
    let body = format!(r#"{{"refresh_token":"{}"}}"#, "A".repeat(86));
    let request = request("POST /api/v1/auth/refresh", &[], body.as_bytes());
    let (api, from) = (target.api, target.victim_address);
    let load = |count, over| Load { count, at_once: 30, over, at_most: Duration::from_secs(15) };
    let first = load(30, Duration::ZERO).run(|_| ask(api, from, request.clone())).await;
    let further = load(10, Duration::from_secs(10)).run(|_| ask(api, from, request.clone())).await;
    format!("{first}; {further}")
}

pub(super) async fn use_unknown_keys(target: &Target) -> String {
    let flood = Flood { per_second: target.divided(10_000), time: target.seconds(10) };
    let request = |connection: usize, n: usize| {
        let key = format!("regua_{:0>8}_{connection:0>43}", n % 100_000_000);
        format!("GET /api/v1/billing/queues HTTP/1.1\r\nHost: a\r\nX-Billing-API-Key: {key}\r\n\r\n")
    };
    flood.run(target.api, request).await
}
