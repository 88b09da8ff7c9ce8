//! Phone numbers as Evolution and WhatsApp treat them: the Brazilian ninth digit, and who is not on WhatsApp.

use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};

use serde::{Deserialize, Serialize};

/// Who is not on WhatsApp. Numbers are compared by their digits, as posted and as canonical.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Numbers {
    /// These numbers are not.
    pub not_on_whatsapp: HashSet<String>,
    /// Numbers that end so are not: gives demos a share that is always the same.
    pub not_on_whatsapp_suffixes: Vec<String>,
}

/// The numbers of one sandbox: the rule, and Evolution's cache of numbers that were found to exist.
#[derive(Default)]
pub(crate) struct Directory {
    rule: RwLock<Numbers>,
    cached: RwLock<HashSet<String>>,
}

impl Directory {
    /// Replaces the rule. The cache is forgotten with it, which Evolution would only do after seven days.
    pub(crate) fn replace(&self, numbers: Numbers) {
        *self.rule.write().unwrap_or_else(PoisonError::into_inner) = numbers;
        self.cached.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// A cached number needs no connection.
    pub(crate) fn is_cached(&self, jid: &str) -> bool {
        self.cached.read().unwrap_or_else(PoisonError::into_inner).contains(jid)
    }

    /// Asks WhatsApp. Only a number that exists is cached.
    pub(crate) fn look_up(&self, number: &str, jid: &str) -> bool {
        if self.is_cached(jid) {
            return true;
        }
        let exists = self.exists(number, jid);
        if exists {
            self.cached.write().unwrap_or_else(PoisonError::into_inner).insert(jid.to_owned());
        }
        exists
    }

    fn exists(&self, number: &str, jid: &str) -> bool {
        let rule = self.rule.read().unwrap_or_else(PoisonError::into_inner);
        let absent = |digits: &str| {
            rule.not_on_whatsapp.contains(digits)
                || rule.not_on_whatsapp_suffixes.iter().any(|suffix| digits.ends_with(suffix.as_str()))
        };
        !absent(&digits_of(number)) && !absent(&digits_of(jid))
    }
}

/// The jid that Evolution makes of a number. A full jid is left alone.
pub(crate) fn canonical_jid(number: &str) -> String {
    if number.contains('@') {
        return number.to_owned();
    }
    let digits = digits_of(number);
    format!("{}@s.whatsapp.net", without_ninth_digit(&digits).unwrap_or(digits))
}

/// Evolution 2.3.7 takes the ninth digit from mobile numbers of area codes from 31, and only where 55 stands before.
fn without_ninth_digit(digits: &str) -> Option<String> {
    let national = digits.strip_prefix("55").filter(|national| national.len() == 11)?;
    let (area, subscriber) = (&national[..2], &national[3..]);
    let mobile = subscriber.as_bytes()[0] >= b'7';
    (area >= "31" && mobile).then(|| format!("55{area}{subscriber}"))
}

fn digits_of(number: &str) -> String {
    number.split('@').next().unwrap_or_default().chars().filter(char::is_ascii_digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ninth_digit_goes_by_evolutions_rule() {
        let cases = [
            ("5531988887777", "553188887777@s.whatsapp.net"),
            ("+55 (31) 98888-7777", "553188887777@s.whatsapp.net"),
            ("5511988887777", "5511988887777@s.whatsapp.net"),
            ("5531968887777", "5531968887777@s.whatsapp.net"),
            ("553188887777", "553188887777@s.whatsapp.net"),
            ("31988887777", "31988887777@s.whatsapp.net"),
            ("5531988887777@s.whatsapp.net", "5531988887777@s.whatsapp.net"),
            ("", "@s.whatsapp.net"),
        ];
        for (number, jid) in cases {
            assert_eq!(canonical_jid(number), jid, "{number}");
        }
    }

    #[test]
    fn a_number_is_absent_by_name_or_by_suffix_until_the_rule_changes() {
        let directory = Directory::default();
        let ask = |number: &str| directory.look_up(number, &canonical_jid(number));
        directory.replace(Numbers {
            not_on_whatsapp: HashSet::from(["5511900000001".to_owned()]),
            not_on_whatsapp_suffixes: vec!["77".to_owned()],
        });
        assert!(!ask("5511900000001"));
        assert!(!ask("5531988887777"));
        assert!(ask("5511900000002"));
        assert!(directory.is_cached("5511900000002@s.whatsapp.net"));
        directory.replace(Numbers::default());
        assert!(ask("5511900000001"));
        assert!(!directory.is_cached("5511900000002@s.whatsapp.net"));
    }
}
