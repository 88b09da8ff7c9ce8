//! How an attempt of unknown outcome is settled: when it is looked for, and what becomes of its contact when the last look
//! found nothing.

use std::fmt;
use std::str::FromStr;

use chrono::TimeDelta;

/// Times after the attempt was closed at which the gateway's history is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookSchedule(Vec<TimeDelta>);

impl LookSchedule {
    /// When the look with this number (from 0) is due, counted from the attempt's end, and its distance from the one before;
    /// none after the last.
    pub fn due_after(&self, looks: usize) -> Option<(TimeDelta, TimeDelta)> {
        let due = self.0.get(looks).copied()?;
        let before = looks.checked_sub(1).and_then(|before| self.0.get(before).copied()).unwrap_or_default();
        Some((due, due - before))
    }

    /// The first look.
    pub fn first(&self) -> TimeDelta {
        self.0.first().copied().unwrap_or_default()
    }
}

/// 15 s, 1, 5, 30 and 120 minutes: Evolution may still be at it for two minutes, and its database may be away for longer.
impl Default for LookSchedule {
    fn default() -> Self {
        Self([15, 60, 300, 1800, 7200].map(TimeDelta::seconds).to_vec())
    }
}

impl FromStr for LookSchedule {
    type Err = LookScheduleError;

    /// Seconds, separated by commas, each more than the one before.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let seconds: Vec<u32> =
            text.split(',').map(|part| part.trim().parse()).collect::<Result<_, _>>().map_err(|_| LookScheduleError)?;
        let grows = seconds.windows(2).all(|pair| pair[0] < pair[1]);
        let is_near = seconds.iter().all(|seconds| *seconds <= 7 * 24 * 3600);
        if !grows || !is_near {
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

/// The text is no schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write seconds separated by commas, each more than the one before and none above a week, such as 15,60,300")]
pub struct LookScheduleError;

/// What is known of an unconfirmed contact when the last look found nothing.
#[derive(Clone, Copy, Debug)]
pub struct Unfound {
    /// The tenant lets its type be sent once more.
    pub may_resend: bool,
    /// Times that it was sent again already.
    pub resends: u16,
    /// The gateway's answer proves nothing, but is what it says after a message has left.
    pub probably_left: bool,
    /// Its queue was cancelled.
    pub is_cancelled: bool,
}

/// Whether a contact whose message was nowhere to be found is sent once more. Everything else waits for a person.
pub const fn resends(unfound: Unfound) -> bool {
    unfound.may_resend && unfound.resends == 0 && !unfound.probably_left && !unfound.is_cancelled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedule_reads_back_and_ends() {
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
    fn only_what_the_tenant_allows_is_sent_again_and_only_once() {
        let allowed = Unfound { may_resend: true, resends: 0, probably_left: false, is_cancelled: false };
        assert!(resends(allowed));
        for refused in [
            Unfound { may_resend: false, ..allowed },
            Unfound { resends: 1, ..allowed },
            Unfound { probably_left: true, ..allowed },
            Unfound { is_cancelled: true, ..allowed },
        ] {
            assert!(!resends(refused), "{refused:?}");
        }
    }
}
