//! Single values: what is taken is in the range of its column, and is read again as the same.

use regua_api::keys::ParsedKey;
use regua_domain::{
    ContactName, Language, Money, MoneyError, PhoneNumber, Reference, days_late, days_until_due, format_date_br,
    parse_due_date,
};

use super::{explained, hold, is_clean, is_e164};

pub(super) fn phone(input: &[u8]) -> Result<String, String> {
    let text = String::from_utf8_lossy(input);
    match PhoneNumber::parse(&text) {
        Ok(phone) => {
            hold(is_e164(phone.as_e164()), "a phone is what its column takes")?;
            hold(PhoneNumber::parse(phone.as_e164()).as_ref() == Ok(&phone), "a phone in E.164 is read as itself")?;
            hold(PhoneNumber::from_stored(phone.as_e164()).as_ref() == Ok(&phone), "a stored phone is read as itself")?;
            hold(PhoneNumber::parse(&phone.national()).as_ref() == Ok(&phone), "a phone as shown is read as itself")?;
            let all = phone.whatsapp_digits();
            hold(all.iter().all(|one| one.bytes().all(|byte| byte.is_ascii_digit())), "digits are digits")?;
            hold(!phone.masked().contains(phone.digits()), "a mask hides")?;
            Ok(format!("{:?} {}", phone.kind(), phone.digits().len()))
        }
        Err(error) => {
            explained(&error.explain(Language::Portuguese), &error.explain(Language::English))?;
            Ok(error.code().to_owned())
        }
    }
}

pub(super) fn money(input: &[u8]) -> Result<String, String> {
    let text = String::from_utf8_lossy(input);
    match Money::parse(&text) {
        Ok(money) => {
            hold((1..=99_999_999_999).contains(&money.cents()), "an amount is what its column takes")?;
            hold(Money::parse(&money.to_string()) == Ok(money), "an amount is read as itself")?;
            hold(Money::from_cents(money.cents()) == Ok(money), "centavos are the amount")?;
            hold(money.format_brl().starts_with("R$ ") && money.format_brl().len() <= 17, "an amount is shown")?;
            Ok(format!("taken {}", money.to_string().len()))
        }
        Err(error) => {
            explained(&error.explain(Language::Portuguese), &error.explain(Language::English))?;
            if let MoneyError::Malformed { suggestion, .. } = &error {
                hold(Money::parse(suggestion).is_ok(), "a suggested amount is taken")?;
            }
            Ok(error.code().to_owned())
        }
    }
}

pub(super) fn date(input: &[u8]) -> Result<String, String> {
    let text = String::from_utf8_lossy(input);
    match parse_due_date(&text) {
        Ok(date) => {
            hold(date.to_string() == text, "a date is written as it was read")?;
            hold(format_date_br(date).len() == 10, "a date is shown")?;
            hold(days_late(date, date) == 0 && days_until_due(date, date) == 0, "nothing is late on its day")?;
            Ok("taken".to_owned())
        }
        Err(error) => {
            explained(&error.explain(Language::Portuguese), &error.explain(Language::English))?;
            Ok(error.code().to_owned())
        }
    }
}

pub(super) fn name(input: &[u8]) -> Result<String, String> {
    let text = String::from_utf8_lossy(input);
    match ContactName::parse(&text) {
        Ok(name) => {
            hold((1..=200).contains(&name.as_str().chars().count()), "a name has 1 to 200 characters")?;
            hold(ContactName::parse(name.as_str()).as_ref() == Ok(&name), "a name is read as itself")?;
            let (shown, first) = (name.display(), name.first_name());
            hold(is_clean(name.as_str(), &[]) && is_clean(&shown, &[]), "a name holds nothing invisible")?;
            hold(!shown.trim().is_empty() && !first.is_empty() && shown.starts_with(&first), "a name is shown")?;
            hold(shown.chars().count() <= 800, "a name does not grow")?;
            Ok(format!("taken {}", shown == name.as_str()))
        }
        Err(error) => {
            explained(&error.explain(Language::Portuguese), &error.explain(Language::English))?;
            Ok(error.code().to_owned())
        }
    }
}

pub(super) fn reference(input: &[u8]) -> Result<String, String> {
    let text = String::from_utf8_lossy(input);
    let candidates = Reference::candidates(&text);
    for candidate in candidates.iter().take(50) {
        hold(Reference::parse(&candidate.to_string()) == Ok(*candidate), "a reference is read as itself")?;
    }
    match Reference::parse(&text) {
        Ok(reference) => {
            let written = format!("Ref. {reference}");
            hold(reference.stands_in(&written), "a reference stands where it is written")?;
            hold(Reference::candidates(&written).contains(&reference), "a reference is found where it is written")?;
            Ok("taken".to_owned())
        }
        Err(error) => Ok(format!("{} {}", error.code(), candidates.len().min(3))),
    }
}

pub(super) fn api_key(input: &[u8]) -> Result<String, String> {
    let text = String::from_utf8_lossy(input);
    let Some(key) = ParsedKey::parse(&text) else { return Ok("refused".to_owned()) };
    hold(text.len() == 58 && text.is_ascii(), "a key has one length")?;
    hold(key.lookup_prefix.len() == 8, "a prefix has one length")?;
    hold(!key.has_hash(None) && !key.has_hash(Some(&[0; 32])) && !key.has_hash(Some(&[])), "no key fits nothing")?;
    Ok("read".to_owned())
}

pub(super) fn language(input: &[u8]) -> Result<String, String> {
    let text = String::from_utf8_lossy(input);
    Ok(format!("{:?}", Language::negotiate(Some(&text))))
}
