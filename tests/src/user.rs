//! Users of a tenant, who call the API with an access token or the console's cookie.

use std::net::IpAddr;
use std::time::Duration;

use chrono::{DateTime, Utc};
use regua_domain::{TenantId, UserId, UserRole};
use regua_store::users::{self, NewUser};
use reqwest::header::{AUTHORIZATION, COOKIE};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sqlx::PgPool;

use crate::{Answer, Client, Fleet, Tenant, logs};

/// The password of every user.
pub const PASSWORD: &str = "correta bateria grampo";

/// A user with the credentials that the user's requests carry.
#[derive(Clone, Debug)]
pub struct TestUser {
    /// The HTTP client.
    pub http: reqwest::Client,
    /// The API's address.
    pub base: String,
    /// The slug of the user's tenant.
    pub tenant: String,
    /// The e-mail address for the login.
    pub email: String,
    /// The user's id.
    pub id: UserId,
    /// An access token.
    pub bearer: Option<String>,
    /// The console's cookie.
    pub cookie: Option<String>,
    /// The tenant of the header `X-Tenant-ID`.
    pub acts_for: Option<TenantId>,
}

impl TestUser {
    /// An invited user without a password, and the invitation.
    pub async fn invited(fleet: &Fleet, tenant: &Tenant, role: UserRole, name: &str) -> (Self, String) {
        Self::invited_at(&fleet.database.pool, &fleet.api, fleet.clock.now(), tenant, role, name).await
    }

    /// The same at an API without a fleet.
    pub(crate) async fn invited_at(
        pool: &PgPool,
        api: &str,
        now: DateTime<Utc>,
        tenant: &Tenant,
        role: UserRole,
        name: &str,
    ) -> (Self, String) {
        let (id, email) = (UserId::new(now), format!("{name}@{}.example", tenant.slug));
        let invitation = format!("convite-de-{name}-{}", tenant.slug);
        let new = NewUser {
            tenant_id: tenant.id,
            user_id: id,
            email: &email.parse().unwrap(),
            name,
            role,
            invitation_hash: &Sha256::digest(invitation.as_bytes()),
            invitation_expires_at: now + chrono::TimeDelta::days(7),
        };
        let mut conn = pool.acquire().await.unwrap();
        assert!(users::create(&mut conn, &new, now).await.unwrap());
        [invitation.as_str(), PASSWORD].into_iter().for_each(logs::register_secret);
        let http = http(None);
        let (base, tenant) = (api.to_owned(), tenant.slug.to_owned());
        (Self { http, base, tenant, email, id, bearer: None, cookie: None, acts_for: None }, invitation)
    }

    /// A user with a password and an access token.
    pub async fn logged_in(fleet: &Fleet, tenant: &Tenant, role: UserRole, name: &str) -> Self {
        let (mut user, invitation) = Self::invited(fleet, tenant, role, name).await;
        assert_eq!(user.accept(&invitation, PASSWORD).await.status, StatusCode::NO_CONTENT);
        user.log_in().await;
        user
    }

    /// Sets the password with an invitation.
    pub async fn accept(&self, invitation: &str, password: &str) -> Answer {
        let body = json!({
            "tenant": self.tenant, "email": self.email, "invitation": invitation, "password": password,
        });
        self.call(Method::POST, "/api/v1/auth/invitation", Some(&body)).await
    }

    /// Tries to log in, with a code of the second factor if one is given.
    pub async fn try_login(&self, password: &str, totp: Option<&str>) -> Answer {
        let mut body = json!({"tenant": self.tenant, "email": self.email, "password": password});
        if let Some(totp) = totp {
            body["totp"] = json!(totp);
        }
        let answer = self.call(Method::POST, "/api/v1/auth/login", Some(&body)).await;
        ["access_token", "refresh_token"]
            .iter()
            .filter_map(|name| answer.body[name].as_str())
            .for_each(logs::register_secret);
        answer
    }

    /// Logs in and keeps the access token for the next requests; returns the refresh token.
    pub async fn log_in(&mut self) -> String {
        let answer = self.try_login(PASSWORD, None).await;
        assert_eq!(answer.status, StatusCode::OK, "{:#}", answer.body);
        self.bearer = answer.body["access_token"].as_str().map(str::to_owned);
        answer.body["refresh_token"].as_str().expect("a refresh token").to_owned()
    }

    /// The same user, logged in at the console, with its cookie.
    pub(crate) async fn at_console(self) -> Self {
        let body = json!({"tenant": self.tenant, "email": self.email, "password": PASSWORD});
        let opened = self.without_credentials().post("/api/v1/auth/session", &body).await;
        assert_eq!(opened.status, StatusCode::OK, "{:#}", opened.body);
        let cookie = opened.headers["set-cookie"].to_str().unwrap().split(';').next().map(str::to_owned);
        logs::register_secret(cookie.as_deref().and_then(|cookie| cookie.split_once('=')).unwrap().1);
        Self { cookie, ..self.without_credentials() }
    }

    /// The same user with another source address.
    #[must_use]
    pub fn from_address(&self, address: &str) -> Self {
        Self { http: http(Some(address.parse().unwrap())), ..self.clone() }
    }

    /// The same user, acting for a tenant.
    #[must_use]
    pub fn acting_for(&self, tenant: &Tenant) -> Self {
        Self { acts_for: Some(tenant.id), ..self.clone() }
    }

    /// The same user without credentials.
    #[must_use]
    pub fn without_credentials(&self) -> Self {
        Self { bearer: None, cookie: None, acts_for: None, ..self.clone() }
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None).await
    }

    /// `POST`.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.call(Method::POST, path, Some(body)).await
    }

    /// `PUT`.
    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.call(Method::PUT, path, Some(body)).await
    }

    /// `DELETE`.
    pub async fn delete(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path, None).await
    }

    /// Calls any path.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        Client::answer(self.request(method, path, body)).await
    }

    /// A request with the user's credentials.
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
