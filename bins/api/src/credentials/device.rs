//! The proof that a user logged in on a device before: a cookie that every login renews. It opens nothing. A login with
//! the proof is counted by its user, so failures of others at the same address do not hold it back.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use regua_domain::{TenantId, UserId};
use regua_secrets::SecretKeys;
use ring::hmac;
use uuid::Uuid;

/// The cookie with the proof.
pub(crate) const DEVICE_COOKIE: &str = "__Host-regua_device";
/// How long a device is known after a login.
pub(crate) const DEVICE_KNOWN_FOR: TimeDelta = TimeDelta::days(90);
const ID_BYTES: usize = 16;
const SIGNED_BYTES: usize = 2 * ID_BYTES + 8;

/// The user who logged in on a device, and the user's tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Device {
    pub(crate) tenant: TenantId,
    pub(crate) user: UserId,
}

/// Signs and reads proofs.
pub(crate) struct DeviceProofs {
    /// The first key signs; a signature by any of them is valid.
    keys: Vec<hmac::Key>,
}

impl DeviceProofs {
    /// The signing keys are derived from the deployment's keys for this purpose only.
    pub(crate) fn new(keys: &SecretKeys) -> Self {
        let keys = keys.derived("known devices");
        Self { keys: keys.iter().map(|key| hmac::Key::new(hmac::HMAC_SHA256, key)).collect() }
    }

    /// A proof for a device on which the user logs in now. None: the deployment has no key.
    pub(crate) fn issue(&self, device: Device, now: DateTime<Utc>) -> Option<String> {
        let ends = (now + DEVICE_KNOWN_FOR).timestamp().to_be_bytes();
        let parts: [&[u8]; 3] = [device.tenant.0.as_bytes(), device.user.0.as_bytes(), &ends];
        let mut proof = parts.concat();
        let signature = hmac::sign(self.keys.first()?, &proof);
        proof.extend_from_slice(signature.as_ref());
        Some(URL_SAFE_NO_PAD.encode(proof))
    }

    /// The device of a proof; none when the proof is forged or too old.
    pub(crate) fn read(&self, proof: &str, now: DateTime<Utc>) -> Option<Device> {
        let bytes = URL_SAFE_NO_PAD.decode(proof).ok()?;
        let (signed, signature) = bytes.split_at_checked(SIGNED_BYTES)?;
        if !self.keys.iter().any(|key| hmac::verify(key, signed, signature).is_ok()) {
            return None;
        }
        let id = |from: usize| Uuid::from_slice(&signed[from..from + ID_BYTES]).ok();
        let ends = i64::from_be_bytes(signed[2 * ID_BYTES..].try_into().ok()?);
        let device = Device { tenant: TenantId(id(0)?), user: UserId(id(ID_BYTES)?) };
        (now.timestamp() < ends).then_some(device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proof_is_valid_for_ninety_days_and_refused_if_altered() {
        let now: DateTime<Utc> = "2026-11-23T13:00:00Z".parse().unwrap();
        let proofs = DeviceProofs::new(&SecretKeys::development());
        let device = Device { tenant: TenantId::new(now), user: UserId::new(now) };
        let proof = proofs.issue(device, now).unwrap();
        assert_eq!(proofs.read(&proof, now), Some(device));
        assert_eq!(proofs.read(&proof, now + DEVICE_KNOWN_FOR), None);
        for position in 0..proof.len() {
            let mut altered = proof.clone().into_bytes();
            altered[position] = if altered[position] == b'A' { b'B' } else { b'A' };
            assert_eq!(proofs.read(&String::from_utf8(altered).unwrap(), now), None, "letter {position}");
        }
        for odd in ["", "a", &proof[1..], "💣"] {
            assert_eq!(proofs.read(odd, now), None, "{odd:?}");
        }
    }
}
