//! Faults on demand: which requests they strike, how often, and what they do. Nothing is random: the n-th request that
//! a fault matches is struck or spared by the fault's seed alone.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use serde::{Deserialize, Serialize};

use crate::ids::mix;

/// The kind of route that a fault strikes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultOn {
    /// sendText, sendMedia and sendButtons.
    #[default]
    Send,
    /// findMessages and findStatusMessage.
    Find,
    /// connectionState.
    State,
}

/// What happens to a request that is struck. `left` of [`Fault`] says whether the message leaves all the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Nothing but the latency.
    #[default]
    None,
    /// The connection is closed without an answer. The message leaves unless `left` is false.
    ReplyLost,
    /// No answer ever comes. The message leaves only if `left` is true.
    Hang,
    /// 400 `Error: Connection Closed`.
    #[serde(rename = "400_connection_closed")]
    ConnectionClosed400,
    /// 400 `Error: Timed Out`. The message leaves only if `left` is true.
    #[serde(rename = "400_timed_out")]
    TimedOut400,
    /// 400 that names Evolution's database: the message leaves unless `left` is false, and its row is not stored.
    #[serde(rename = "400_database")]
    Database400,
    /// 500 `Connection Closed`.
    #[serde(rename = "500_connection_closed")]
    ConnectionClosed500,
    /// 500 in the envelope, as after a number lookup that timed out.
    #[serde(rename = "500_envelope")]
    Envelope500,
    /// 401, as with an instance token while Evolution's database is down.
    #[serde(rename = "401")]
    Unauthorized401,
    /// 404, as if the instance had been deleted.
    #[serde(rename = "404")]
    NotFound404,
    /// A proxy's 502 page. The message leaves only if `left` is true.
    #[serde(rename = "502_html")]
    Html502,
    /// 503 of Evolution 2.4 without a licence.
    #[serde(rename = "503_license")]
    License503,
    /// 201 without a body. The message leaves unless `left` is false.
    #[serde(rename = "201_empty")]
    Empty201,
    /// findMessages and findStatusMessage answer as if nothing were stored.
    FindSeesNothing,
}

impl Effect {
    /// Whether a message leaves by itself, and whether `left` may say otherwise.
    const fn leaves(self) -> (bool, bool) {
        match self {
            Self::None => (true, false),
            Self::ReplyLost | Self::Database400 | Self::Empty201 => (true, true),
            Self::Hang | Self::TimedOut400 | Self::Html502 => (false, true),
            _ => (false, false),
        }
    }
}

/// One fault. Every condition that is given must hold.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fault {
    /// The kind of route; sends unless given.
    pub on: FaultOn,
    /// Only this instance.
    pub instance: Option<String>,
    /// Only this number, as it was posted.
    pub number: Option<String>,
    /// The share of matching requests that are struck, from 0 to 1; all of them unless given.
    pub probability: Option<f64>,
    /// Which ones: the same seed strikes the same ones in the order of their coming.
    pub seed: u64,
    /// How many requests are struck before the fault is spent; no end unless given.
    pub times: Option<u64>,
    /// Milliseconds to wait before anything else happens.
    pub latency_ms: u64,
    /// What happens then.
    pub effect: Effect,
    /// Whether the message leaves, for the effects that leave it open.
    pub left: Option<bool>,
}

impl Fault {
    /// A fault on every send.
    pub fn every_send(effect: Effect) -> Self {
        Self { effect, ..Self::default() }
    }

    /// Whether the message leaves although the fault strikes.
    pub(crate) fn message_leaves(&self) -> bool {
        self.left.unwrap_or(self.effect.leaves().0)
    }

    /// # Errors
    /// A sentence for the person who wrote it.
    fn check(&self) -> Result<(), String> {
        if self.probability.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
            return Err("probability is from 0 to 1".to_owned());
        }
        if self.left.is_some() && !self.effect.leaves().1 {
            return Err(
                "left can be chosen for reply_lost, hang, 400_timed_out, 400_database, 502_html and 201_empty only"
                    .to_owned(),
            );
        }
        let finds = self.effect == Effect::FindSeesNothing;
        if finds && self.on != FaultOn::Find {
            return Err("find_sees_nothing needs \"on\": \"find\"".to_owned());
        }
        Ok(())
    }
}

struct Armed {
    fault: Fault,
    matched: AtomicU64,
    struck: AtomicU64,
}

/// The faults in force. The first that strikes a request is the only one.
#[derive(Default)]
pub(crate) struct FaultBook {
    armed: RwLock<Arc<[Armed]>>,
}

impl FaultBook {
    /// Replaces all faults; their counts begin anew.
    pub(crate) fn replace(&self, faults: Vec<Fault>) -> Result<(), String> {
        faults.iter().try_for_each(Fault::check)?;
        let arm = |fault| Armed { fault, matched: AtomicU64::new(0), struck: AtomicU64::new(0) };
        let armed = faults.into_iter().map(arm).collect();
        *self.armed.write().unwrap_or_else(PoisonError::into_inner) = armed;
        Ok(())
    }

    pub(crate) fn strike(&self, on: FaultOn, instance: &str, number: Option<&str>) -> Option<Fault> {
        let armed = Arc::clone(&*self.armed.read().unwrap_or_else(PoisonError::into_inner));
        armed.iter().find(|armed| armed.strikes(on, instance, number)).map(|armed| armed.fault.clone())
    }

    pub(crate) fn all(&self) -> Vec<Fault> {
        let armed = self.armed.read().unwrap_or_else(PoisonError::into_inner);
        armed.iter().map(|armed| armed.fault.clone()).collect()
    }
}

impl Armed {
    fn strikes(&self, on: FaultOn, instance: &str, number: Option<&str>) -> bool {
        let fault = &self.fault;
        let concerns = fault.on == on
            && fault.instance.as_deref().is_none_or(|wanted| wanted == instance)
            && fault.number.as_deref().is_none_or(|wanted| number == Some(wanted));
        concerns && self.drawn() && self.not_spent()
    }

    fn drawn(&self) -> bool {
        let Some(share) = self.fault.probability else { return true };
        let turn = self.matched.fetch_add(1, Ordering::Relaxed);
        // 53 bits are what a double holds exactly.
        let bits = mix(mix(self.fault.seed) ^ turn) >> 11;
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
        let drawn = bits as f64 / (1_u64 << 53) as f64;
        drawn < share
    }

    fn not_spent(&self) -> bool {
        let times = self.fault.times.unwrap_or(u64::MAX);
        let count = |struck: u64| (struck < times).then_some(struck + 1);
        self.struck.fetch_update(Ordering::Relaxed, Ordering::Relaxed, count).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn struck(fault: Fault, requests: usize) -> Vec<bool> {
        let book = FaultBook::default();
        book.replace(vec![fault]).unwrap();
        (0..requests).map(|_| book.strike(FaultOn::Send, "matriz", Some("5511")).is_some()).collect()
    }

    #[test]
    fn a_fault_with_times_is_spent_after_them() {
        let fault = Fault { times: Some(2), ..Fault::every_send(Effect::ReplyLost) };
        assert_eq!(struck(fault, 4), [true, true, false, false]);
    }

    #[test]
    fn the_same_seed_strikes_the_same_requests_and_about_its_share() {
        let fault = Fault { probability: Some(0.25), seed: 42, ..Fault::every_send(Effect::Hang) };
        let first = struck(fault.clone(), 4_000);
        assert_eq!(first, struck(fault.clone(), 4_000));
        assert_ne!(first, struck(Fault { seed: 43, ..fault }, 4_000));
        let count = first.iter().filter(|struck| **struck).count();
        assert!((900..1_100).contains(&count), "{count}");
    }

    #[test]
    fn only_what_is_named_is_struck() {
        let book = FaultBook::default();
        let fault = Fault { instance: Some("matriz".into()), number: Some("5511".into()), ..Fault::default() };
        book.replace(vec![fault]).unwrap();
        assert!(book.strike(FaultOn::Send, "matriz", Some("5511")).is_some());
        assert!(book.strike(FaultOn::Send, "filial", Some("5511")).is_none());
        assert!(book.strike(FaultOn::Send, "matriz", Some("5512")).is_none());
        assert!(book.strike(FaultOn::Find, "matriz", Some("5511")).is_none());
    }

    #[test]
    fn a_fault_that_contradicts_itself_is_refused() {
        let book = FaultBook::default();
        for fault in [r#"{"probability":1.5}"#, r#"{"effect":"401","left":true}"#, r#"{"effect":"find_sees_nothing"}"#]
        {
            assert!(book.replace(vec![serde_json::from_str(fault).unwrap()]).is_err(), "{fault}");
        }
        assert!(serde_json::from_str::<Fault>(r#"{"efect":"401"}"#).is_err());
    }
}
