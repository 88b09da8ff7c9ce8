//! A tenant with users, and the paths of routes with its ids or with unknown ids.

use regua_domain::UserRole;
use regua_tests::{Client, Fleet, Tenant, TestUser, batch};
use uuid::Uuid;

use super::routes::{Access, PLATFORM};

/// A tenant with one user of each role, and one object of each kind.
pub(super) struct TenantWithUsers {
    pub(super) tenant: Tenant,
    pub(super) users: Vec<(UserRole, TestUser)>,
    queue: String,
    contact: String,
    key_id: String,
    template_id: String,
}

/// A day without a holiday.
const DAY: &str = "2026-12-23";

impl TenantWithUsers {
    pub(super) async fn create(fleet: &Fleet, tenant: Tenant) -> Self {
        let mut users = Vec::new();
        for role in UserRole::ALL {
            users.push((role, TestUser::logged_in(fleet, &tenant, role, role.as_str()).await));
        }
        let erp = Client::new(&fleet.api, &tenant.key);
        let queue = erp.send_accepted("overdue", &batch("lote-a", 1)).await;
        let contact = erp.contacts(&queue).await[0]["contact_id"].as_str().unwrap().to_owned();
        let key_id = users[2].1.get("/api/v1/admin/keys").await.body["items"][0]["key_id"].as_str().unwrap().to_owned();
        let templates = users[2].1.get("/api/v1/admin/templates").await.body;
        let template_id = templates["items"][0]["template_id"].as_str().unwrap().to_owned();
        Self { tenant, users, queue, contact, key_id, template_id }
    }

    pub(super) fn owner(&self) -> &TestUser {
        &self.users[2].1
    }

    /// The path of a route with the ids of this tenant.
    pub(super) fn path(&self, pattern: &str) -> String {
        let ids = [
            ("{queue_id}", self.queue.clone()),
            ("{contact}", self.contact.clone()),
            ("{key_id}", self.key_id.clone()),
            ("{user_id}", self.users[0].1.id.to_string()),
            ("{tenant_id}", self.tenant.id.to_string()),
            ("{instance_id}", self.tenant.instances[0].to_string()),
            ("{template_id}", self.template_id.clone()),
            ("{day}", DAY.to_owned()),
            ("{type}", "overdue".to_owned()),
        ];
        fill(pattern, &ids)
    }
}

/// The path of a route with ids that do not exist.
pub(super) fn unknown_path(pattern: &str) -> String {
    let id = Uuid::from_u128(0x019a_2000_0000_7000_8000_0000_0000_0001).to_string();
    let names = ["{queue_id}", "{contact}", "{key_id}", "{user_id}", "{tenant_id}", "{instance_id}"];
    let mut ids = names.map(|name| (name, id.clone())).to_vec();
    ids.extend([("{template_id}", id), ("{day}", DAY.to_owned()), ("{type}", "overdue".to_owned())]);
    fill(pattern, &ids)
}

fn fill(pattern: &str, ids: &[(&str, String)]) -> String {
    let path = ids.iter().fold(pattern.to_owned(), |path, (name, id)| path.replace(name, id));
    assert!(!path.contains('{'), "{path}: an id has no value");
    path
}

/// Whether the route's path contains an id that may belong to another tenant. Platform routes are excluded, because the
/// platform may use every id.
pub(super) fn has_tenant_id(pattern: &str, access: Access) -> bool {
    pattern.contains('{') && access != Access::Webhook && access != PLATFORM
}
