//! Faults on demand: which requests they strike, how often, and with which effect. The seed alone decides whether a fault
//! strikes the n-th matching request.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::ids::mix;

/// The routes that a fault strikes.
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

/// The effect on a struck request. [`Fault::left`] decides whether the message leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Only the latency.
    #[default]
    None,
    /// The connection is closed without an answer. The message leaves unless `left` is false.
    ReplyLost,
    /// No answer. The message leaves only if `left` is true.
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
    /// 500 in the envelope, as after a timeout of the number lookup.
    #[serde(rename = "500_envelope")]
    Envelope500,
    /// 401, as for an instance token while Evolution's database is down.
    #[serde(rename = "401")]
    Unauthorized401,
    /// 404, as for a deleted instance.
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
    /// findMessages and findStatusMessage find no row.
    FindSeesNothing,
}

impl Effect {
    /// Whether the message leaves by default, and whether `left` may change that.
    const fn leaves(self) -> (bool, bool) {
        match self {
            Self::None => (true, false),
            Self::ReplyLost | Self::Database400 | Self::Empty201 => (true, true),
            Self::Hang | Self::TimedOut400 | Self::Html502 => (false, true),
            _ => (false, false),
        }
    }
}

/// A fault. It strikes requests that match all given conditions.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fault {
    /// The routes; sends by default.
    pub on: FaultOn,
    /// Only this instance.
    pub instance: Option<String>,
    /// Only this number, as it was posted.
    pub number: Option<String>,
    /// The fraction of matching requests that are struck, from 0 to 1; all by default.
    pub probability: Option<f64>,
    /// Selects the struck requests by their order: equal seeds select the same ones.
    pub seed: u64,
    /// The most requests that are struck; unlimited by default.
    pub times: Option<u64>,
    /// Milliseconds before anything else happens.
    pub latency_ms: u64,
    /// The effect after the latency.
    pub effect: Effect,
    /// Whether the message leaves, for the effects that allow both.
    pub left: Option<bool>,
}

impl Fault {
    /// A fault on every send.
    pub fn every_send(effect: Effect) -> Self {
        Self { effect, ..Self::default() }
    }

    pub(crate) fn message_leaves(&self) -> bool {
        self.left.unwrap_or(self.effect.leaves().0)
    }

    fn check(&self) -> Result<(), String> {
        if self.probability.is_some_and(|probability| !(0.0..=1.0).contains(&probability)) {
            return Err("probability is from 0 to 1".to_owned());
        }
        if self.left.is_some() && !self.effect.leaves().1 {
            return Err(
                "left can be chosen for reply_lost, hang, 400_timed_out, 400_database, 502_html and 201_empty only"
                    .to_owned(),
            );
        }
        if self.effect == Effect::FindSeesNothing && self.on != FaultOn::Find {
            return Err("find_sees_nothing needs \"on\": \"find\"".to_owned());
        }
        Ok(())
    }
}

/// A fault, and how many requests it has matched and struck.
struct ActiveFault {
    fault: Fault,
    matched: u64,
    struck: u64,
}

/// At most one fault strikes a request: the first that matches.
#[derive(Default)]
pub(crate) struct ActiveFaults(Mutex<Vec<ActiveFault>>);

impl ActiveFaults {
    /// Replaces all faults and resets their counts.
    pub(crate) fn replace(&self, faults: Vec<Fault>) -> Result<(), String> {
        faults.iter().try_for_each(Fault::check)?;
        *self.lock() = faults.into_iter().map(|fault| ActiveFault { fault, matched: 0, struck: 0 }).collect();
        Ok(())
    }

    pub(crate) fn strike(&self, on: FaultOn, instance: &str, number: Option<&str>) -> Option<Fault> {
        let mut faults = self.lock();
        faults.iter_mut().find_map(|active| active.strikes(on, instance, number).then(|| active.fault.clone()))
    }

    pub(crate) fn all(&self) -> Vec<Fault> {
        self.lock().iter().map(|active| active.fault.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<ActiveFault>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ActiveFault {
    fn strikes(&mut self, on: FaultOn, instance: &str, number: Option<&str>) -> bool {
        let fault = &self.fault;
        let is_match = fault.on == on
            && fault.instance.as_deref().is_none_or(|wanted| wanted == instance)
            && fault.number.as_deref().is_none_or(|wanted| number == Some(wanted));
        let strikes = is_match && self.is_selected() && self.fault.times.is_none_or(|times| self.struck < times);
        self.struck += u64::from(strikes);
        strikes
    }

    fn is_selected(&mut self) -> bool {
        let Some(probability) = self.fault.probability else { return true };
        let bits = mix(mix(self.fault.seed) ^ self.matched) >> 11;
        self.matched += 1;
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
        let fraction = bits as f64 / (1_u64 << 53) as f64;
        fraction < probability
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn struck(fault: Fault, requests: usize) -> Vec<bool> {
        let faults = ActiveFaults::default();
        faults.replace(vec![fault]).unwrap();
        (0..requests).map(|_| faults.strike(FaultOn::Send, "matriz", Some("5511")).is_some()).collect()
    }

    #[test]
    fn fault_strikes_at_most_its_times() {
        let fault = Fault { times: Some(2), ..Fault::every_send(Effect::ReplyLost) };
        assert_eq!(struck(fault, 4), [true, true, false, false]);
    }

    #[test]
    fn seed_selects_the_same_requests_at_about_the_probability() {
        let fault = Fault { probability: Some(0.25), seed: 42, ..Fault::every_send(Effect::Hang) };
        let first = struck(fault.clone(), 4_000);
        assert_eq!(first, struck(fault.clone(), 4_000));
        assert_ne!(first, struck(Fault { seed: 43, ..fault }, 4_000));
        let count = first.iter().filter(|struck| **struck).count();
        assert!((900..1_100).contains(&count), "{count}");
    }

    #[test]
    fn fault_strikes_only_the_named_instance_and_number() {
        let faults = ActiveFaults::default();
        let fault = Fault { instance: Some("matriz".into()), number: Some("5511".into()), ..Fault::default() };
        faults.replace(vec![fault]).unwrap();
        assert!(faults.strike(FaultOn::Send, "matriz", Some("5511")).is_some());
        assert!(faults.strike(FaultOn::Send, "filial", Some("5511")).is_none());
        assert!(faults.strike(FaultOn::Send, "matriz", Some("5512")).is_none());
        assert!(faults.strike(FaultOn::Find, "matriz", Some("5511")).is_none());
    }

    #[test]
    fn contradictory_fault_is_refused() {
        let faults = ActiveFaults::default();
        for fault in [r#"{"probability":1.5}"#, r#"{"effect":"401","left":true}"#, r#"{"effect":"find_sees_nothing"}"#]
        {
            assert!(faults.replace(vec![serde_json::from_str(fault).unwrap()]).is_err(), "{fault}");
        }
        assert!(serde_json::from_str::<Fault>(r#"{"efect":"401"}"#).is_err());
    }
}
