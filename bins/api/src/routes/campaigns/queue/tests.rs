//! Progress and ETA of a queue, and reading of an action.

use regua_domain::{CampaignId, Language, MessageType};

use super::*;

fn now() -> DateTime<Utc> {
    "2026-11-23T13:00:00Z".parse().unwrap()
}

fn queue(status: &str, total: i32, pending: i32) -> Queue {
    Queue {
        queue_id: QueueId::new(now()),
        campaign_id: CampaignId::new(now()),
        external_id: "b".to_owned(),
        name: "b".to_owned(),
        message_type: MessageType::Overdue,
        status: status.parse().unwrap(),
        reason: None,
        resume_at: None,
        scheduled_for: None,
        created_at: now(),
        started_at: None,
        finished_at: None,
        total,
        pending,
        sending: 0,
        sent: total - pending,
        delivered: 0,
        read: 0,
        failed: 0,
        unconfirmed: 0,
        skipped: 0,
        cancelled: 0,
        processing_by: None,
        last_heartbeat: None,
        progress: 0.0,
        rate_per_minute: 20,
        eta: None,
    }
}

#[test]
#[expect(clippy::float_cmp, reason = "the API promises these decimals")]
fn progress_is_one_only_when_all_contacts_are_final() {
    assert_eq!(progress(&queue("running", 3, 3)), 0.0);
    assert_eq!(progress(&queue("running", 3, 1)), 0.6666);
    assert_eq!(progress(&queue("running", 100_000, 1)), 0.9999);
    assert_eq!(progress(&queue("completed", 3, 0)), 1.0);
}

#[test]
fn eta_counts_from_resume_time() {
    let hour = now() + TimeDelta::hours(1);
    let duration = TimeDelta::minutes(5);
    assert_eq!(eta(&queue("running", 100, 100), now()), Some(now() + duration));
    let scheduled = Queue { scheduled_for: Some(hour), ..queue("scheduled", 100, 100) };
    assert_eq!(eta(&scheduled, now()), Some(hour + duration));
    let paused_hours = Queue { resume_at: Some(hour), ..queue("paused_hours", 100, 100) };
    assert_eq!(eta(&paused_hours, now()), Some(hour + duration));
    for status in ["paused", "instance_down", "cancelled"] {
        assert_eq!(eta(&queue(status, 100, 100), now()), None, "{status}");
    }
    assert_eq!(eta(&queue("running", 100, 0), now()), None);
}

#[test]
fn action_is_pause_resume_or_cancel() {
    let read = |body: &str| {
        let draft = Draft::<ControlRequest>::parse(body.as_bytes(), Language::English)?;
        draft.finish().map(|body| body.action)
    };
    assert_eq!(read(r#"{"action":"pause"}"#).unwrap(), ControlAction::Pause);
    for body in [r#"{"action":"stop"}"#, "{}", r#"{"action":1}"#, "[]", r#"{"action":"pause","when":"now"}"#] {
        assert_eq!(read(body).unwrap_err().code(), Code::ValidationFailed, "{body}");
    }
    assert_eq!(read("{").unwrap_err().code(), Code::MalformedJson);
}
