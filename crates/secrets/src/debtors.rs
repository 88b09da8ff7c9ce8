//! The identifiers of a debtor, and the keyed hashes by which erased contacts of the debtor are found.

use std::sync::Arc;

use regua_domain::{PhoneNumber, TenantId};
use regua_store::contacts::Hashes;
use regua_store::debtors::Debtor;
use ring::hmac;

use crate::SecretKeys;

/// Keys of the hashes of phone numbers and external ids. Without `REGUA_SECRET_KEY` the number of a hash cannot be
/// guessed. Clones share the keys.
#[derive(Clone)]
pub struct DebtorKeys(Arc<[hmac::Key]>);

impl DebtorKeys {
    /// The keys that are derived from these.
    pub fn of(secrets: &SecretKeys) -> Self {
        let derived = secrets.derived("debtors' hashes");
        Self(derived.iter().map(|key| hmac::Key::new(hmac::HMAC_SHA256, key)).collect())
    }

    /// The debtor with this phone number.
    pub fn by_phone(&self, tenant: TenantId, phone: &PhoneNumber) -> Debtor {
        let lines = phone.same_line();
        let hashes = self.all(tenant, Kind::Phone, lines.iter().map(PhoneNumber::as_e164));
        let phones = lines.iter().map(|line| line.as_e164().to_owned()).collect();
        Debtor { phones, hashes, ..Debtor::default() }
    }

    /// The debtor with this id at the tenant.
    pub fn by_external_id(&self, tenant: TenantId, external_id: &str) -> Debtor {
        let hashes = self.all(tenant, Kind::ExternalId, [external_id].into_iter());
        Debtor { external_id: Some(external_id.to_owned()), hashes, ..Debtor::default() }
    }

    /// The hashes of an erased contact.
    pub fn hashes(&self, tenant: TenantId, phone: &str, external_id: Option<&str>) -> Hashes {
        let external_id = external_id.map(|id| self.hash(0, tenant, Kind::ExternalId, id));
        Hashes { phone: Some(self.hash(0, tenant, Kind::Phone, phone)), external_id }
    }

    /// By the current key and by old ones.
    fn all<'a>(&self, tenant: TenantId, kind: Kind, texts: impl Iterator<Item = &'a str>) -> Vec<Vec<u8>> {
        texts.flat_map(|text| (0..self.0.len()).map(move |key| self.hash(key, tenant, kind, text))).collect()
    }

    fn hash(&self, key: usize, tenant: TenantId, kind: Kind, text: &str) -> Vec<u8> {
        // With the tenant's id, so that the same number has different hashes at two tenants.
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
    fn hash_depends_on_tenant_kind_and_key() {
        let keys = DebtorKeys::of(&SecretKeys::development());
        let (a, b) = (TenantId(Uuid::nil()), TenantId(Uuid::max()));
        let hashes = keys.hashes(a, "+5511988887777", Some("+5511988887777"));
        assert_ne!(hashes.phone, hashes.external_id);
        assert_ne!(hashes.phone, keys.hashes(b, "+5511988887777", None).phone);
        let phone = PhoneNumber::parse("(11) 8888-7777").unwrap();
        assert!(keys.by_phone(a, &phone).hashes.contains(&hashes.phone.unwrap()));
        assert!(keys.by_external_id(a, "+5511988887777").hashes.contains(&hashes.external_id.unwrap()));
    }
}
