//! Whom a request about a debtor means, and the keyed hashes by which they are found again after an erasure.

use std::sync::Arc;

use regua_domain::{PhoneNumber, TenantId};
use regua_store::debtors::{Debtor, Hashes};
use ring::hmac;

use crate::SecretKeys;

/// What makes hashes of numbers and of customers' ids. Without `REGUA_SECRET_KEY` nobody can tell which number a hash is of. Cloning
/// shares the keys.
#[derive(Clone)]
pub struct DebtorKeys(Arc<[hmac::Key]>);

impl DebtorKeys {
    /// The keys that belong to these.
    pub fn of(secrets: &SecretKeys) -> Self {
        let derived = secrets.derived("debtors' hashes");
        Self(derived.iter().map(|key| hmac::Key::new(hmac::HMAC_SHA256, key)).collect())
    }

    /// Whoever has this number.
    pub fn by_phone(&self, tenant: TenantId, phone: &PhoneNumber) -> Debtor {
        let lines = phone.same_line();
        let hashes = self.all(tenant, Kind::Phone, lines.iter().map(PhoneNumber::as_e164));
        let phones = lines.iter().map(|line| line.as_e164().to_owned()).collect();
        Debtor { phones, hashes, ..Debtor::default() }
    }

    /// Whoever is the tenant's customer by this id.
    pub fn by_external_id(&self, tenant: TenantId, external_id: &str) -> Debtor {
        let hashes = self.all(tenant, Kind::ExternalId, [external_id].into_iter());
        Debtor { external_id: Some(external_id.to_owned()), hashes, ..Debtor::default() }
    }

    /// What is kept of an erased contact.
    pub fn hashes(&self, tenant: TenantId, phone: &str, external_id: Option<&str>) -> Hashes {
        let external_id = external_id.map(|id| self.hash(0, tenant, Kind::ExternalId, id));
        Hashes { phone: Some(self.hash(0, tenant, Kind::Phone, phone)), external_id }
    }

    /// By the current key and by earlier ones.
    fn all<'a>(&self, tenant: TenantId, kind: Kind, texts: impl Iterator<Item = &'a str>) -> Vec<Vec<u8>> {
        texts.flat_map(|text| (0..self.0.len()).map(move |key| self.hash(key, tenant, kind, text))).collect()
    }

    fn hash(&self, key: usize, tenant: TenantId, kind: Kind, text: &str) -> Vec<u8> {
        // The tenant stands in it: the same number at two tenants has nothing in common.
        let whole = [tenant.0.as_bytes().as_slice(), kind.name(), text.as_bytes()].concat();
        self.0.get(key).map(|key| hmac::sign(key, &whole).as_ref().to_vec()).unwrap_or_default()
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Phone,
    ExternalId,
}

impl Kind {
    const fn name(self) -> &'static [u8] {
        match self {
            Self::Phone => b"phone\0",
            Self::ExternalId => b"external_id\0",
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_hash_is_the_tenants_and_the_kinds_and_the_keys_alone() {
        let keys = DebtorKeys::of(&SecretKeys::development());
        let (a, b) = (TenantId(Uuid::nil()), TenantId(Uuid::max()));
        let kept = keys.hashes(a, "+5511988887777", Some("+5511988887777"));
        assert_ne!(kept.phone, kept.external_id);
        assert_ne!(kept.phone, keys.hashes(b, "+5511988887777", None).phone);
        let phone = PhoneNumber::parse("(11) 8888-7777").unwrap();
        assert!(keys.by_phone(a, &phone).hashes.contains(&kept.phone.unwrap()));
        assert!(keys.by_external_id(a, "+5511988887777").hashes.contains(&kept.external_id.unwrap()));
    }
}
