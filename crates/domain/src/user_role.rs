//! What people may do: four roles, each with the rights of the one before and some more.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What somebody is at a tenant. Each has all rights of those above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserRole {
    /// Looks.
    Viewer,
    /// Runs the campaigns: queues, templates, holidays, numbers.
    Operator,
    /// Decides for the tenant: configuration, keys, people, debtors' data.
    Owner,
    /// Runs the platform: every tenant.
    Platform,
}

/// What a call of the API may need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// See configuration, templates, numbers, queues and contacts.
    Look,
    /// Pause, resume and cancel queues; decide unconfirmed contacts; write templates and holidays; connect numbers.
    Operate,
    /// Change the configuration, keys and people; see the audit log; export and erase a debtor's data.
    Own,
    /// Make and suspend tenants.
    RunThePlatform,
}

impl UserRole {
    /// All of them, the least first.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Operator, Self::Owner, Self::Platform];

    /// The name in the API and in the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Owner => "owner",
            Self::Platform => "platform",
        }
    }

    /// Whether it has a right.
    pub fn may(self, right: Right) -> bool {
        let least = match right {
            Right::Look => Self::Viewer,
            Right::Operate => Self::Operator,
            Right::Own => Self::Owner,
            Right::RunThePlatform => Self::Platform,
        };
        self >= least
    }

    /// Whether somebody with this role may give another one: nobody gives more than they have.
    pub fn may_give(self, other: Self) -> bool {
        self.may(Right::Own) && other <= self
    }
}

impl fmt::Display for UserRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no role.
#[derive(Debug, thiserror::Error)]
#[error("unknown role {0:?}: use viewer, operator, owner or platform")]
pub struct UnknownUserRole(String);

impl FromStr for UserRole {
    type Err = UnknownUserRole;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or_else(|| UnknownUserRole(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_has_one_right_more_than_the_one_before() {
        let rights = [Right::Look, Right::Operate, Right::Own, Right::RunThePlatform];
        for (index, role) in UserRole::ALL.into_iter().enumerate() {
            let has: Vec<_> = rights.iter().map(|right| role.may(*right)).collect();
            assert_eq!(has, (0..4).map(|right| right <= index).collect::<Vec<_>>(), "{role}");
            assert_eq!(role.as_str().parse::<UserRole>().unwrap(), role);
        }
    }

    #[test]
    fn nobody_gives_more_than_they_have() {
        assert!(!UserRole::Operator.may_give(UserRole::Viewer));
        assert!(UserRole::Owner.may_give(UserRole::Owner));
        assert!(!UserRole::Owner.may_give(UserRole::Platform));
        assert!(UserRole::Platform.may_give(UserRole::Platform));
    }
}
