//! The attacks. Each has a limited size and a limited time, and ends by itself.

mod batches;
mod connections;
mod credentials;
mod load;
mod requests;
mod sends;
mod templates;
mod webhooks;
mod wire;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// An attack of the suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Attack {
    /// 1,350 webhooks of 1 MiB, each a list of 130,000 objects
    BigWebhooks,
    /// 540 webhooks whose bodies arrive a byte a second
    SlowWebhooks,
    /// 540 logins from 18 addresses whose bodies arrive a byte a second
    SlowLogins,
    /// 300 bad logins a second from 500 addresses
    BadLogins,
    /// 40 posts with 50 variables, each checked against 17,000 patterns
    CostlySchema,
    /// Posts of 10,000 contacts that hang up after 60 ms
    AbandonedBatches,
    /// A batch of 32 MiB with four million objects in its metadata
    NestedMetadata,
    /// 10 numbers with 256 sends each that the gateway never answers
    HangingSends,
    /// 100 requests for pages of 10 MB that are never read
    UnreadPages,
    /// 1,024 idle connections from each of 4 addresses
    IdleConnections,
    /// 60 exports of a debtor's data at once
    DebtorExports,
    /// 716 webhooks with a text of 1 MB in ten seconds
    LongTexts,
    /// 605 changes of a template in six seconds
    TemplateChanges,
    /// 40 refreshes with an unknown token from the address of the victim's users
    BadRefreshes,
    /// 16,000 requests with a method that the path does not have
    WrongMethods,
    /// 10,000 unknown keys a second from 4 addresses
    UnknownKeys,
    /// Batches of 10,000 contacts without pause over 4 connections
    LargeBatches,
}

impl fmt::Display for Attack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.to_possible_value().expect("every attack has a name").get_name())
    }
}

/// What an attack has: the addresses of API and gateway, and the credentials of the attacker's tenant.
#[derive(Clone, Deserialize, Serialize)]
pub struct Target {
    pub(super) api: SocketAddr,
    pub(super) gateway: String,
    pub(super) key: String,
    /// The access token of an owner.
    pub(super) bearer: String,
    pub(super) instances: Vec<String>,
    /// The path for webhooks of the first instance.
    pub(super) webhook: String,
    pub(super) webhook_secret: String,
    pub(super) victim_address: IpAddr,
    /// Divides the size of the attack.
    pub(super) divisor: usize,
    /// What the preparation stored for the attack.
    pub(super) prepared: String,
}

impl Target {
    /// The duration of a part of the attack; a small attack is over in a third of the time.
    fn seconds(&self, seconds: u64) -> Duration {
        Duration::from_secs(if self.divisor > 1 { seconds / 3 } else { seconds })
    }

    /// A number of the attack, divided; at least two.
    fn divided(&self, number: usize) -> usize {
        (number / self.divisor).max(2)
    }

    /// The variable by which the target reaches the attack's process.
    pub const VARIABLE: &str = "NEIGHBOUR_TARGET";

    /// A request with the tenant's API key.
    fn with_key(&self, line: &str, body: &[u8]) -> Vec<u8> {
        wire::request(line, &[("X-Billing-API-Key", &self.key)], body)
    }

    /// A request of the owner.
    fn as_owner(&self, line: &str, body: &[u8]) -> Vec<u8> {
        wire::request(line, &[("Authorization", &format!("Bearer {}", self.bearer))], body)
    }

    fn webhook(&self, body: &[u8]) -> Vec<u8> {
        let line = format!("POST {}", self.webhook);
        wire::request(&line, &[("X-Regua-Webhook-Secret", &self.webhook_secret)], body)
    }
}

impl Attack {
    /// Messages a minute of the attacker's numbers. Most attacks cost nothing but requests.
    pub(super) const fn messages_per_minute(self) -> i32 {
        match self {
            Self::HangingSends => 60_000,
            _ => 60,
        }
    }

    /// Stores what the attack needs, before the victim is measured; returns a text for [`Target::prepared`].
    pub(super) async fn prepare(self, target: &Target) -> String {
        match self {
            Self::UnreadPages => connections::store_large_contacts(target).await,
            Self::DebtorExports => requests::store_contacts(target).await,
            Self::TemplateChanges => templates::create(target).await,
            _ => String::new(),
        }
    }

    /// Runs the attack; returns a sentence about it.
    pub async fn run(self, target: &Target) -> String {
        match self {
            Self::BigWebhooks => webhooks::post_many_objects(target).await,
            Self::SlowWebhooks => connections::post_slow_webhooks(target).await,
            Self::SlowLogins => connections::post_slow_logins(target).await,
            Self::BadLogins => credentials::log_in_with_wrong_passwords(target).await,
            Self::CostlySchema => templates::post_to_costly_schema(target).await,
            Self::AbandonedBatches => batches::hang_up(target).await,
            Self::NestedMetadata => batches::post_nested_metadata(target).await,
            Self::HangingSends => sends::hang(target).await,
            Self::UnreadPages => connections::leave_pages_unread(target).await,
            Self::IdleConnections => connections::stay_idle(target).await,
            Self::DebtorExports => requests::export_debtors(target).await,
            Self::LongTexts => webhooks::post_long_texts(target).await,
            Self::TemplateChanges => templates::change(target).await,
            Self::BadRefreshes => credentials::refresh_with_unknown_tokens(target).await,
            Self::WrongMethods => requests::use_wrong_methods(target).await,
            Self::UnknownKeys => credentials::use_unknown_keys(target).await,
            Self::LargeBatches => batches::post_without_pause(target).await,
        }
    }
}
