//! The access table: every route of the contract with the callers that it admits.

use regua_domain::Capability;

/// The callers that a route admits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Access {
    /// Every caller: the routes that log in or out.
    Public,
    /// An API key.
    Key,
    /// An API key, or a user with this capability.
    KeyOr(Capability),
    /// Every logged-in user.
    AnyUser,
    /// A user with this capability.
    User(Capability),
    /// A gateway with the webhook secret of the instance.
    Webhook,
}
use Access::{Key, Public, Webhook};
const READ: Access = Access::User(Capability::Read);
const OPERATE: Access = Access::User(Capability::Operate);
const ADMINISTER: Access = Access::User(Capability::Administer);
pub(super) const PLATFORM: Access = Access::User(Capability::Platform);

#[rustfmt::skip]
pub(super) const ROUTES: &[(&str, &str, Access)] = &[
    ("post", "/api/v1/billing/send/overdue", Key),
    ("post", "/api/v1/billing/send/upcoming", Key),
    ("post", "/api/v1/billing/send/notification", Key),
    ("get", "/api/v1/billing/queue/{queue_id}/status", Access::KeyOr(Capability::Read)),
    ("post", "/api/v1/billing/queue/{queue_id}/control", Access::KeyOr(Capability::Operate)),
    ("get", "/api/v1/billing/queue/{queue_id}/contacts", Access::KeyOr(Capability::Read)),
    ("get", "/api/v1/billing/queues", Access::KeyOr(Capability::Read)),
    ("get", "/api/v1/billing/contact/{contact}", Access::KeyOr(Capability::Read)),
    ("post", "/api/v1/billing/contact/{contact}/verdict", Access::KeyOr(Capability::Operate)),
    ("post", "/webhooks/evolution/{tenant_id}/{instance_id}", Webhook),
    ("post", "/api/v1/auth/login", Public),
    ("post", "/api/v1/auth/session", Public),
    ("delete", "/api/v1/auth/session", Public),
    ("post", "/api/v1/auth/refresh", Public),
    ("post", "/api/v1/auth/logout", Public),
    ("post", "/api/v1/auth/invitation", Public),
    ("get", "/api/v1/auth/me", Access::AnyUser),
    ("post", "/api/v1/auth/password", Access::AnyUser),
    ("post", "/api/v1/auth/totp", Access::AnyUser),
    ("put", "/api/v1/auth/totp", Access::AnyUser),
    ("delete", "/api/v1/auth/totp", Access::AnyUser),
    ("get", "/api/v1/admin/tenants", PLATFORM),
    ("post", "/api/v1/admin/tenants", PLATFORM),
    ("get", "/api/v1/admin/tenants/{tenant_id}", PLATFORM),
    ("put", "/api/v1/admin/tenants/{tenant_id}", PLATFORM),
    ("get", "/api/v1/admin/config", READ),
    ("put", "/api/v1/admin/config", ADMINISTER),
    ("get", "/api/v1/admin/hours", READ),
    ("put", "/api/v1/admin/hours", ADMINISTER),
    ("get", "/api/v1/admin/holidays", READ),
    ("put", "/api/v1/admin/holidays/{day}", OPERATE),
    ("delete", "/api/v1/admin/holidays/{day}", OPERATE),
    ("get", "/api/v1/admin/templates", READ),
    ("post", "/api/v1/admin/templates", OPERATE),
    ("get", "/api/v1/admin/templates/{template_id}", READ),
    ("put", "/api/v1/admin/templates/{template_id}", OPERATE),
    ("delete", "/api/v1/admin/templates/{template_id}", OPERATE),
    ("get", "/api/v1/admin/templates/{template_id}/versions", READ),
    ("get", "/api/v1/admin/defaults", READ),
    ("put", "/api/v1/admin/defaults/{type}", OPERATE),
    ("get", "/api/v1/admin/instances", READ),
    ("post", "/api/v1/admin/instances", OPERATE),
    ("get", "/api/v1/admin/instances/{instance_id}", READ),
    ("put", "/api/v1/admin/instances/{instance_id}", OPERATE),
    ("delete", "/api/v1/admin/instances/{instance_id}", OPERATE),
    ("post", "/api/v1/admin/instances/{instance_id}/check", OPERATE),
    ("post", "/api/v1/admin/instances/{instance_id}/webhook", OPERATE),
    ("get", "/api/v1/admin/retention", READ),
    ("put", "/api/v1/admin/retention", ADMINISTER),
    ("post", "/api/v1/admin/debtors/export", ADMINISTER),
    ("post", "/api/v1/admin/debtors/erase", ADMINISTER),
    ("get", "/api/v1/admin/audit", ADMINISTER),
    ("get", "/api/v1/admin/keys", ADMINISTER),
    ("post", "/api/v1/admin/keys", ADMINISTER),
    ("put", "/api/v1/admin/keys/{key_id}", ADMINISTER),
    ("delete", "/api/v1/admin/keys/{key_id}", ADMINISTER),
    ("post", "/api/v1/admin/keys/{key_id}/rotate", ADMINISTER),
    ("get", "/api/v1/admin/users", ADMINISTER),
    ("post", "/api/v1/admin/users", ADMINISTER),
    ("put", "/api/v1/admin/users/{user_id}", ADMINISTER),
    ("post", "/api/v1/admin/users/{user_id}/invitation", ADMINISTER),
    ("delete", "/api/v1/admin/users/{user_id}/sessions", ADMINISTER),
];
