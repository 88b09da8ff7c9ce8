//! What users may do: four roles, each with the capabilities of the role before it and more.

text_enum! {
    /// What a user is at a tenant. Each role has all capabilities of the roles above it in this list.
    pub enum UserRole ("role") {
        /// Reads.
        Viewer = "viewer",
        /// Runs the campaigns: queues, templates, holidays, numbers.
        Operator = "operator",
        /// Decides for the tenant: configuration, keys, people, debtors' data, its bills.
        Owner = "owner",
        /// Runs the platform: every tenant.
        Platform = "platform",
    }
}

/// What a role may do, and what a route requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// Read configuration, templates, instances, queues and contacts.
    Read,
    /// Pause, resume and cancel queues; decide unconfirmed contacts; write templates and holidays; connect instances.
    Operate,
    /// Change the configuration, API keys and users; read the audit log; export and erase a debtor's data.
    Administer,
    /// Read and pay what the platform charges the tenant. No route requires it yet.
    Bill,
    /// Create and suspend tenants.
    Platform,
}

impl UserRole {
    /// Whether the role has a capability.
    pub fn may(self, capability: Capability) -> bool {
        let least = match capability {
            Capability::Read => Self::Viewer,
            Capability::Operate => Self::Operator,
            Capability::Administer | Capability::Bill => Self::Owner,
            Capability::Platform => Self::Platform,
        };
        self >= least
    }

    /// Whether a user with this role may give a user the other role, which is never a higher one.
    pub fn may_give(self, other: Self) -> bool {
        self.may(Capability::Administer) && other <= self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn role_has_the_capabilities_of_the_table() {
        use Capability::{Administer, Bill, Operate, Platform, Read};
        let table: [(UserRole, &[Capability]); 4] = [
            (UserRole::Viewer, &[Read]),
            (UserRole::Operator, &[Read, Operate]),
            (UserRole::Owner, &[Read, Operate, Administer, Bill]),
            (UserRole::Platform, &[Read, Operate, Administer, Bill, Platform]),
        ];
        assert_eq!(table.map(|(role, _)| role), UserRole::ALL);
        for (role, has) in table {
            for capability in [Read, Operate, Administer, Bill, Platform] {
                assert_eq!(role.may(capability), has.contains(&capability), "{role} {capability:?}");
            }
            assert_eq!(role.as_str().parse::<UserRole>().unwrap(), role);
        }
    }

    #[test]
    fn role_gives_no_role_above_its_own() {
        assert!(!UserRole::Operator.may_give(UserRole::Viewer));
        assert!(UserRole::Owner.may_give(UserRole::Owner));
        assert!(!UserRole::Owner.may_give(UserRole::Platform));
        assert!(UserRole::Platform.may_give(UserRole::Platform));
    }
}
