//! When the looks for an unknown attempt are due, and whether the last look leads to a resend.

use std::fmt;
use std::str::FromStr;

use chrono::TimeDelta;

/// Times of the looks, counted from the attempt's finish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookSchedule(Vec<TimeDelta>);

impl LookSchedule {
    /// The time of the look with this number (from 0), and the time since the look before it; `None` after the last
    /// look.
    pub fn due_after(&self, looks: usize) -> Option<(TimeDelta, TimeDelta)> {
        let due = self.0.get(looks).copied()?;
        let before = looks.checked_sub(1).and_then(|before| self.0.get(before).copied()).unwrap_or_default();
        Some((due, due - before))
    }

    /// Time of the first look.
    pub fn first(&self) -> TimeDelta {
        self.0.first().copied().unwrap_or_default()
    }
}

/// 15 s, 1, 5, 30 and 120 minutes. Evolution may still send a message for two minutes after a request without an
/// answer, and its database, which a look searches, may be down for longer.
impl Default for LookSchedule {
    fn default() -> Self {
        Self([15, 60, 300, 1800, 7200].map(TimeDelta::seconds).to_vec())
    }
}

impl FromStr for LookSchedule {
    type Err = LookScheduleError;

    /// Increasing numbers of seconds, separated by commas.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let seconds: Vec<u32> =
            text.split(',').map(|part| part.trim().parse()).collect::<Result<_, _>>().map_err(|_| LookScheduleError)?;
        let grows = seconds.windows(2).all(|pair| pair[0] < pair[1]);
        let is_within_a_week = seconds.iter().all(|seconds| *seconds <= 7 * 24 * 3600);
        if !grows || !is_within_a_week {
            return Err(LookScheduleError);
        }
        Ok(Self(seconds.into_iter().map(|seconds| TimeDelta::seconds(seconds.into())).collect()))
    }
}

impl fmt::Display for LookSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds: Vec<_> = self.0.iter().map(|look| look.num_seconds().to_string()).collect();
        f.write_str(&seconds.join(","))
    }
}

/// The text is not a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write seconds separated by commas, each more than the one before and none above a week, such as 15,60,300")]
pub struct LookScheduleError;

/// Facts about an unconfirmed contact after a last look that found nothing.
#[derive(Clone, Copy, Debug)]
pub struct UnfoundAttempt {
    /// The tenant allows resends of the message type.
    pub may_resend: bool,
    /// Number of resends.
    pub resends: u16,
    /// The attempt's reason suggests that the message left.
    pub probably_left: bool,
    /// The queue is cancelled.
    pub is_cancelled: bool,
}

/// Whether a contact is resent. Any other contact waits for an operator decision.
pub const fn should_resend(unfound: UnfoundAttempt) -> bool {
    unfound.may_resend && unfound.resends == 0 && !unfound.probably_left && !unfound.is_cancelled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedule_parses_back_and_ends() {
        let schedule = LookSchedule::default();
        assert_eq!(schedule.to_string().parse(), Ok(schedule.clone()));
        assert_eq!(schedule.first(), TimeDelta::seconds(15));
        assert_eq!(schedule.due_after(4), Some((TimeDelta::hours(2), TimeDelta::minutes(90))));
        assert_eq!(schedule.due_after(5), None);
        for wrong in ["", "a", "5,5", "60,15", "-1", "1000000"] {
            assert_eq!(wrong.parse::<LookSchedule>(), Err(LookScheduleError), "{wrong}");
        }
    }

    #[test]
    fn contact_is_resent_only_once_and_only_where_allowed() {
        let allowed = UnfoundAttempt { may_resend: true, resends: 0, probably_left: false, is_cancelled: false };
        assert!(should_resend(allowed));
        for refused in [
            UnfoundAttempt { may_resend: false, ..allowed },
            UnfoundAttempt { resends: 1, ..allowed },
            UnfoundAttempt { probably_left: true, ..allowed },
            UnfoundAttempt { is_cancelled: true, ..allowed },
        ] {
            assert!(!should_resend(refused), "{refused:?}");
        }
    }
}
