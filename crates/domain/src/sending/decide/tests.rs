//! Every rule alone, the order of the rules, and properties over all combinations of facts.

use chrono::TimeDelta;
use chrono_tz::Tz;
use proptest::prelude::*;

use super::*;

const OPEN_HOUR: &str = "2026-11-23T12:00:00Z";
const CLOSED_HOUR: &str = "2026-11-23T23:00:00Z";

#[derive(Debug)]
struct Case {
    contact: ContactFacts,
    queue: QueueFacts,
    rules: TenantRules,
    lane: LaneFacts,
    now: DateTime<Utc>,
}

impl Case {
    fn clear() -> Self {
        let now = at(OPEN_HOUR);
        Self {
            contact: ContactFacts { status: ContactStatus::Pending, due_at: now, attempts: 0 },
            queue: QueueFacts {
                status: QueueStatus::Running,
                message_type: MessageType::Overdue,
                scheduled_for: Some(now),
            },
            rules: TenantRules { calendar: Calendar::default(), max_attempts: 5, active: true },
            lane: LaneFacts {
                instance_state: InstanceState::Open,
                next_send_at: Some(now),
                sent_today: 0,
                daily_cap: Some(1),
            },
            now,
        }
    }

    /// Makes one rule apply. Rules that share a fact overwrite each other.
    fn apply(&mut self, rule: Rule) {
        let later = self.now + TimeDelta::minutes(10);
        match rule {
            Rule::AlreadyFinal => self.contact.status = ContactStatus::Sent,
            Rule::QueueCancelled => self.queue.status = QueueStatus::Cancelled,
            Rule::AlreadySending => self.contact.status = ContactStatus::Sending,
            Rule::AttemptsUsedUp => self.contact.attempts = 5,
            Rule::TenantSuspended => self.rules.active = false,
            Rule::QueuePaused => self.queue.status = QueueStatus::Paused,
            Rule::QueueScheduled => self.queue.scheduled_for = Some(later),
            Rule::BusinessHours => self.rules.calendar.hours.clear(),
            Rule::InstanceDown => self.lane.instance_state = InstanceState::Close,
            Rule::NotDue => self.contact.due_at = later,
            Rule::DailyCap => self.lane.sent_today = 1,
            Rule::Pacing => self.lane.next_send_at = Some(later),
        }
    }

    fn decide(&self) -> Decision {
        decide(&self.contact, &self.queue, &self.rules, &self.lane, self.now)
    }
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn rule_of(decision: Decision) -> Option<Rule> {
    match decision {
        Decision::Send => None,
        Decision::HoldUntil { rule, .. } | Decision::Skip { rule } => Some(rule),
    }
}

#[test]
fn contact_without_an_applicable_rule_is_sent() {
    assert_eq!(Case::clear().decide(), Decision::Send);
}

#[test]
fn each_rule_alone_decides_with_its_own_time() {
    let later = at(OPEN_HOUR) + TimeDelta::minutes(10);
    let hold = |at, rule| Decision::HoldUntil { at, rule };
    for rule in Rule::ALL {
        let mut case = Case::clear();
        case.apply(rule);
        let expected = match rule {
            Rule::AlreadyFinal | Rule::QueueCancelled | Rule::AttemptsUsedUp => Decision::Skip { rule },
            Rule::QueueScheduled | Rule::NotDue | Rule::Pacing => hold(Some(later), rule),
            Rule::DailyCap => hold(Some(at("2026-11-24T03:00:00Z")), rule),
            _ => hold(None, rule),
        };
        assert_eq!(case.decide(), expected);
    }
}

#[test]
fn earlier_of_two_rules_decides() {
    for (place, first) in Rule::ALL.into_iter().enumerate() {
        for second in Rule::ALL.into_iter().skip(place + 1) {
            let mut case = Case::clear();
            case.apply(second);
            case.apply(first);
            assert_eq!(rule_of(case.decide()), Some(first), "{first} before {second}");
        }
    }
}

#[test]
fn bills_wait_for_opening_and_notifications_do_not() {
    for (message_type, expected) in [
        (MessageType::Overdue, Some(Rule::BusinessHours)),
        (MessageType::Upcoming, Some(Rule::BusinessHours)),
        (MessageType::Notification, None),
    ] {
        let mut case = Case { now: at(CLOSED_HOUR), ..Case::clear() };
        case.queue.message_type = message_type;
        assert_eq!(rule_of(case.decide()), expected);
        if expected.is_some() {
            let opens = Some(at("2026-11-24T11:00:00Z"));
            assert_eq!(case.decide(), Decision::HoldUntil { at: opens, rule: Rule::BusinessHours });
        }
    }
}

#[test]
fn queue_after_its_time_waits_for_periodic() {
    for (status, rule) in
        [(QueueStatus::Scheduled, Rule::QueueScheduled), (QueueStatus::PausedHours, Rule::BusinessHours)]
    {
        let mut case = Case::clear();
        case.queue.status = status;
        assert_eq!(case.decide(), Decision::HoldUntil { at: Some(case.now), rule });
    }
}

#[test]
fn every_rule_has_a_name_and_a_text() {
    for rule in Rule::ALL {
        assert_eq!(rule.as_str().parse(), Ok(rule));
        assert_eq!(rule.text().id(), format!("rule-{}", rule.as_str().replace('_', "-")));
    }
}

prop_compose! {
    fn any_case()(
        contact_status in prop::sample::select(ContactStatus::ALL.to_vec()),
        queue_status in prop::sample::select(QueueStatus::ALL.to_vec()),
        message_type in prop::sample::select(MessageType::ALL.to_vec()),
        instance_state in prop::sample::select(vec![InstanceState::Open, InstanceState::Connecting, InstanceState::Close, InstanceState::Unknown]),
        (attempts, active, sent_today, daily_cap) in (0_u16..7, any::<bool>(), 0_u32..3, prop::option::of(0_u32..3)),
        (due, scheduled, next) in (-2_i64..2, prop::option::of(-2_i64..2), prop::option::of(-2_i64..2)),
        now in prop::sample::select(vec![OPEN_HOUR, CLOSED_HOUR]),
        always_open: bool,
    ) -> Case {
        let now = at(now);
        let calendar = if always_open { Calendar::always_open(Tz::UTC) } else { Calendar::default() };
        Case {
            contact: ContactFacts { status: contact_status, due_at: now + TimeDelta::minutes(due), attempts },
            queue: QueueFacts { status: queue_status, message_type, scheduled_for: scheduled.map(|minutes| now + TimeDelta::minutes(minutes)) },
            rules: TenantRules { calendar, max_attempts: 5, active },
            lane: LaneFacts { instance_state, next_send_at: next.map(|minutes| now + TimeDelta::minutes(minutes)), sent_today, daily_cap },
            now,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]

    #[test]
    fn contact_is_sent_exactly_when_no_rule_applies(case in any_case()) {
        let may = case.contact.status == ContactStatus::Pending
            && case.queue.status.is_runnable()
            && case.contact.attempts < 5
            && case.rules.active
            && case.queue.scheduled_for.is_none_or(|begins| begins <= case.now)
            && (case.queue.message_type == MessageType::Notification || case.rules.calendar.is_open(case.now))
            && case.lane.instance_state == InstanceState::Open
            && case.contact.due_at <= case.now
            && case.lane.daily_cap.is_none_or(|cap| case.lane.sent_today < cap)
            && case.lane.next_send_at.is_none_or(|next| next <= case.now);
        prop_assert_eq!(case.decide() == Decision::Send, may);
    }

    #[test]
    fn no_hold_ends_in_the_past(case in any_case()) {
        if let Decision::HoldUntil { at: Some(at), .. } = case.decide() {
            prop_assert!(at >= case.now);
        }
    }

    #[test]
    fn only_pending_or_final_contacts_are_skipped(case in any_case()) {
        if case.contact.status == ContactStatus::Sending {
            prop_assert!(!matches!(case.decide(), Decision::Skip { .. }), "an attempt under way must not be skipped");
        }
    }
}
