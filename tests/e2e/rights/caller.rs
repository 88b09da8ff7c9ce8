//! Calls of a route by a caller that it admits.

use regua_tests::{Answer, Client, TestUser};
use reqwest::Method;
use serde_json::{Value, json};

use super::routes::Access;

/// A body that every route reads and none accepts: an admitted caller gets a fault, and nothing changes.
pub(super) fn body(method: &Method) -> Option<Value> {
    (method != Method::GET).then(|| json!({"unknown": true}))
}

/// A caller that the route admits, with a body that the route accepts.
pub(super) struct Caller<'a> {
    pub(super) method: &'a Method,
    pub(super) pattern: &'a str,
    pub(super) access: Access,
    pub(super) owner: &'a TestUser,
    pub(super) key: &'a Client,
}

impl Caller<'_> {
    pub(super) async fn call(&self, path: &str) -> Answer {
        let body = match self.pattern.rsplit('/').next() {
            Some("control") => Some(json!({"action": "cancel"})),
            Some("verdict") => Some(json!({"verdict": "give_up"})),
            Some("rotate") => Some(json!({})),
            Some("{user_id}") => Some(json!({"name": "Outra", "role": "viewer"})),
            Some("{key_id}") => Some(json!({"name": "Outra"})),
            Some("{template_id}") => Some(json!({"variations": ["Outra"]})),
            Some("{instance_id}") => Some(json!({"base_url": "https://gateway.example"})),
            Some("webhook") => Some(json!({"public_url": "https://regua.example"})),
            _ => body(self.method),
        };
        match self.access {
            Access::Key | Access::KeyOr(_) => self.key.call(self.method.clone(), path, body.as_ref()).await,
            _ => self.owner.call(self.method.clone(), path, body.as_ref()).await,
        }
    }
}
