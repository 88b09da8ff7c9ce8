//! The exit status of a command that has printed its result.

use std::process::ExitCode;

/// A command that fails with a message returns an error instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitStatus {
    /// The command did its work.
    Success,
    /// The command could not do all of its work, or a check failed.
    Failure,
}

impl ExitStatus {
    pub(crate) const fn success_if(is_success: bool) -> Self {
        if is_success { Self::Success } else { Self::Failure }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        match status {
            ExitStatus::Success => Self::SUCCESS,
            ExitStatus::Failure => Self::from(1),
        }
    }
}
