//! When the messages of a batch may be sent, by the tenant's configuration.

use chrono::{DateTime, TimeDelta, Utc};
use regua_domain::{Calendar, MessageType};

pub(crate) struct Hours {
    pub(crate) calendar: Calendar,
    pub(super) message_type: MessageType,
}

impl Hours {
    /// The first instant from `from` on at which a message may be sent; none when no hours open within a year.
    pub(crate) fn first_from(&self, from: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if self.message_type.keeps_business_hours() { self.calendar.next_open(from) } else { Some(from) }
    }

    /// Estimates when each of `count` messages leaves, from `begins` on: one after the other at the instance's rate,
    /// within the hours. The estimate ignores the instance's other queues, its daily cap and the jitter.
    pub(crate) fn would_send_at(
        &self,
        begins: DateTime<Utc>,
        per_minute: i32,
        count: usize,
    ) -> Vec<Option<DateTime<Utc>>> {
        let interval = TimeDelta::minutes(1) / per_minute.max(1);
        let mut next = self.first_from(begins);
        let mut instants = Vec::with_capacity(count);
        for _ in 0..count {
            instants.push(next);
            next = next.and_then(|last| self.first_from(last + interval));
        }
        instants
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_outside_hours_are_estimated_for_next_open_day() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let hours = Hours { calendar: Calendar::default(), message_type: MessageType::Overdue };
        // Friday, 27 November 2026, 17:59 in São Paulo.
        let instants = hours.would_send_at(at("2026-11-27T20:59:00Z"), 2, 4);
        let expected = ["2026-11-27T20:59:00Z", "2026-11-27T20:59:30Z", "2026-11-30T11:00:00Z", "2026-11-30T11:00:30Z"];
        assert_eq!(instants, expected.map(|text| Some(at(text))));
        let at_any_hour = Hours { message_type: MessageType::Notification, ..hours };
        assert_eq!(at_any_hour.would_send_at(at("2026-11-27T23:00:00Z"), 1, 1), [Some(at("2026-11-27T23:00:00Z"))]);
    }
}
