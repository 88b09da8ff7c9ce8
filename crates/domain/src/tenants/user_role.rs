//! What users may do: four roles, each with the capabilities of the role before it and one more.

text_enum! {
    /// What a user is at a tenant. Each role has all capabilities of the roles above it in this list.
    pub enum UserRole ("role") {
        /// Reads.
        Viewer = "viewer",
        /// Runs the campaigns: queues, templates, holidays, numbers.
        Operator = "operator",
        /// Decides for the tenant: configuration, keys, people, debtors' data.
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
    /// Create and suspend tenants.
    Platform,
}

impl UserRole {
    /// Whether the role has a capability.
    pub fn may(self, capability: Capability) -> bool {
        let least = match capability {
            Capability::Read => Self::Viewer,
            Capability::Operate => Self::Operator,
            Capability::Administer => Self::Owner,
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
    fn each_role_has_one_capability_more_than_the_role_before() {
        let capabilities = [Capability::Read, Capability::Operate, Capability::Administer, Capability::Platform];
        for (index, role) in UserRole::ALL.into_iter().enumerate() {
            let has: Vec<_> = capabilities.iter().map(|capability| role.may(*capability)).collect();
            assert_eq!(has, (0..4).map(|capability| capability <= index).collect::<Vec<_>>(), "{role}");
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
