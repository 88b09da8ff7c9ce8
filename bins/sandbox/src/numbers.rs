//! Phone numbers as Evolution and WhatsApp treat them: the Brazilian ninth digit, and numbers that are not on WhatsApp.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

/// The numbers that are not on WhatsApp. Digits are compared, both as posted and as canonical.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Numbers {
    /// Whole numbers.
    pub not_on_whatsapp: HashSet<String>,
    /// Endings of numbers, which give demos a constant fraction.
    pub not_on_whatsapp_suffixes: Vec<String>,
}

#[derive(Default)]
pub(crate) struct Directory(Mutex<Listed>);

#[derive(Default)]
struct Listed {
    rule: Numbers,
    /// Jids that Evolution knows to exist.
    cached: HashSet<String>,
}

impl Directory {
    /// Replaces the rule and clears the cache, which Evolution does after seven days.
    pub(crate) fn replace(&self, rule: Numbers) {
        *self.lock() = Listed { rule, cached: HashSet::new() };
    }

    pub(crate) fn is_cached(&self, jid: &str) -> bool {
        self.lock().cached.contains(jid)
    }

    pub(crate) fn look_up(&self, number: &str, jid: &str) -> bool {
        let mut listed = self.lock();
        let is_excluded = listed.rule.excludes(number) || listed.rule.excludes(jid);
        let exists = listed.cached.contains(jid) || !is_excluded;
        if exists {
            listed.cached.insert(jid.to_owned());
        }
        exists
    }

    fn lock(&self) -> MutexGuard<'_, Listed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Numbers {
    fn excludes(&self, number: &str) -> bool {
        let digits = digits_of(number);
        self.not_on_whatsapp.contains(&digits)
            || self.not_on_whatsapp_suffixes.iter().any(|suffix| digits.ends_with(suffix.as_str()))
    }
}

/// The jid of a number at Evolution, which does not change a full jid.
pub(crate) fn canonical_jid(number: &str) -> String {
    if number.contains('@') {
        return number.to_owned();
    }
    let digits = digits_of(number);
    format!("{}@s.whatsapp.net", without_ninth_digit(&digits).unwrap_or(digits))
}

/// Evolution 2.3.7 removes the ninth digit of mobile numbers with prefix 55 and an area code of at least 31.
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
    fn ninth_digit_is_removed_by_evolutions_rule() {
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
    fn number_is_absent_by_value_or_suffix_until_the_rule_changes() {
        let directory = Directory::default();
        let exists = |number: &str| directory.look_up(number, &canonical_jid(number));
        directory.replace(Numbers {
            not_on_whatsapp: HashSet::from(["5511900000001".to_owned()]),
            not_on_whatsapp_suffixes: vec!["77".to_owned()],
        });
        assert!(!exists("5511900000001"));
        assert!(!exists("5531988887777"));
        assert!(exists("5511900000002"));
        assert!(directory.is_cached("5511900000002@s.whatsapp.net"));
        directory.replace(Numbers::default());
        assert!(exists("5511900000001"));
        assert!(!directory.is_cached("5511900000002@s.whatsapp.net"));
    }
}
