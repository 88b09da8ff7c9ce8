//! Somebody of a tenant, as a browser or a program of theirs calls the API.

use std::net::IpAddr;
use std::time::Duration;

use regua_domain::{TenantId, UserId, UserRole};
use regua_store::users::{self, NewUser};
use reqwest::header::{AUTHORIZATION, COOKIE};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{Answer, Client, Fleet, Tenant, logs};

/// What every person of the tests has chosen.
pub const PASSWORD: &str = "correta bateria grampo";

/// Somebody, who has come in or not.
#[derive(Clone, Debug)]
pub struct Person {
    /// Its connections.
    pub http: reqwest::Client,
    /// Where the API is.
    pub base: String,
    /// The slug of their tenant.
    pub tenant: String,
    /// Their address.
    pub email: String,
    /// Their id.
    pub id: UserId,
    /// What they show: an access token.
    pub bearer: Option<String>,
    /// What they show: the console's cookie.
    pub cookie: Option<String>,
    /// For whom they act, where they say so.
    pub acts_for: Option<TenantId>,
}

impl Person {
    /// Somebody who was invited, and has not answered yet; with the invitation.
    pub async fn invited(fleet: &Fleet, tenant: &Tenant, role: UserRole, name: &str) -> (Self, String) {
        let now = fleet.clock.now();
        let (id, email) = (UserId::new(now), format!("{name}@{}.example", tenant.slug));
        let invitation = format!("convite-de-{name}-{}", tenant.slug);
        let new = NewUser {
            tenant_id: tenant.id,
            user_id: id,
            email: &email,
            name,
            role: role.as_str(),
            invitation_hash: &Sha256::digest(invitation.as_bytes()),
            invitation_expires_at: now + chrono::TimeDelta::days(7),
        };
        let mut conn = fleet.database.pool.acquire().await.unwrap();
        assert!(users::create(&mut conn, &new, now).await.unwrap());
        [invitation.as_str(), PASSWORD].into_iter().for_each(logs::keep_secret);
        let http = http(None);
        let (base, tenant) = (fleet.api.clone(), tenant.slug.to_owned());
        (Self { http, base, tenant, email, id, bearer: None, cookie: None, acts_for: None }, invitation)
    }

    /// Somebody who has chosen a password and logged in.
    pub async fn logged_in(fleet: &Fleet, tenant: &Tenant, role: UserRole, name: &str) -> Self {
        let (mut person, invitation) = Self::invited(fleet, tenant, role, name).await;
        assert_eq!(person.accept(&invitation, PASSWORD).await.status, StatusCode::NO_CONTENT);
        person.log_in().await;
        person
    }

    /// Chooses a password with an invitation.
    pub async fn accept(&self, invitation: &str, password: &str) -> Answer {
        let body = json!({
            "tenant": self.tenant, "email": self.email, "invitation": invitation, "password": password,
        });
        self.call(Method::POST, "/api/v1/auth/invitation", Some(&body)).await
    }

    /// Tries to log in, with a code where one is given.
    pub async fn try_login(&self, password: &str, totp: Option<&str>) -> Answer {
        let mut body = json!({"tenant": self.tenant, "email": self.email, "password": password});
        if let Some(totp) = totp {
            body["totp"] = json!(totp);
        }
        let answer = self.call(Method::POST, "/api/v1/auth/login", Some(&body)).await;
        ["access_token", "refresh_token"]
            .iter()
            .filter_map(|name| answer.body[name].as_str())
            .for_each(logs::keep_secret);
        answer
    }

    /// Logs in, and shows the access token from then on; answers the refresh token.
    pub async fn log_in(&mut self) -> String {
        let answer = self.try_login(PASSWORD, None).await;
        assert_eq!(answer.status, StatusCode::OK, "{:#}", answer.body);
        self.bearer = answer.body["access_token"].as_str().map(str::to_owned);
        answer.body["refresh_token"].as_str().expect("a refresh token").to_owned()
    }

    /// The same person from another address of this machine.
    #[must_use]
    pub fn from_address(&self, address: &str) -> Self {
        Self { http: http(Some(address.parse().unwrap())), ..self.clone() }
    }

    /// The same person, acting for a tenant.
    #[must_use]
    pub fn acting_for(&self, tenant: &Tenant) -> Self {
        Self { acts_for: Some(tenant.id), ..self.clone() }
    }

    /// Somebody who shows nothing.
    #[must_use]
    pub fn outside(&self) -> Self {
        Self { bearer: None, cookie: None, acts_for: None, ..self.clone() }
    }

    /// Looks.
    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None).await
    }

    /// Posts.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.call(Method::POST, path, Some(body)).await
    }

    /// Puts.
    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.call(Method::PUT, path, Some(body)).await
    }

    /// Deletes.
    pub async fn delete(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path, None).await
    }

    /// Any call.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        Client::answer(self.request(method, path, body)).await
    }

    /// A request as this person makes it.
    pub fn request(&self, method: Method, path: &str, body: Option<&Value>) -> reqwest::RequestBuilder {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(bearer) = &self.bearer {
            request = request.header(AUTHORIZATION, format!("Bearer {bearer}"));
        }
        if let Some(cookie) = &self.cookie {
            request = request.header(COOKIE, cookie);
        }
        if let Some(tenant) = self.acts_for {
            request = request.header("X-Tenant-ID", tenant.to_string());
        }
        match body {
            Some(body) => request.json(body),
            None => request,
        }
    }
}

fn http(address: Option<IpAddr>) -> reqwest::Client {
    regua_boot::init_tls();
    reqwest::Client::builder().timeout(Duration::from_secs(60)).local_address(address).build().unwrap()
}
