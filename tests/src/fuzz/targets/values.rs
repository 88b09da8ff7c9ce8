//! Single values: an accepted value is in the range of its column, and its text is parsed to the same value.

use regua_api::keys::ParsedKey;
use regua_domain::{
    ContactName, Language, Money, PhoneNumber, Reference, days_late, days_until_due, format_date_br, parse_due_date,
};

use super::{check_text, ensure, is_clean, is_e164};

pub(super) fn phone(input: &[u8]) -> Result<String, String> {
    let text = String::from_utf8_lossy(input);
    match PhoneNumber::parse(&text) {
        Ok(phone) => {
            ensure(is_e164(phone.as_e164()), "a phone fits its column")?;
            ensure(PhoneNumber::parse(phone.as_e164()).as_ref() == Ok(&phone), "a phone in E.164 is parsed to itself")?;
            ensure(
                PhoneNumber::from_stored(phone.as_e164()).as_ref() == Ok(&phone),
                "a stored phone is parsed to itself",
            )?;
            ensure(
                PhoneNumber::parse(&phone.national()).as_ref() == Ok(&phone),
                "a phone as shown is parsed to itself",
            )?;
            let all = phone.whatsapp_digits();
            ensure(all.iter().all(|one| one.bytes().all(|byte| byte.is_ascii_digit())), "digits are digits")?;
            ensure(!phone.masked().contains(phone.digits()), "a masked phone does not show its digits")?;
            Ok(format!("{:?} {}", phone.kind(), phone.digits().len()))
        }
        Err(error) => {
            check_text(&error.text())?;
            Ok(error.code().to_owned())
        }
    }
}

pub(super) fn money(input: &[u8]) -> Result<String, String> {
    let text = String::from_utf8_lossy(input);
    match Money::parse(&text) {
        Ok(money) => {
            ensure((1..=99_999_999_999).contains(&money.cents()), "an amount fits its column")?;
            ensure(Money::parse(&money.to_string()) == Ok(money), "the text of an amount is parsed to itself")?;
            ensure(Money::from_cents(money.cents()) == Ok(money), "centavos are the amount")?;
            ensure(money.format_brl().starts_with("R$ ") && money.format_brl().len() <= 17, "an amount is shown")?;
            Ok(format!("accepted {}", money.to_string().len()))
        }
        Err(error) => {
            check_text(&error.text())?;
            Ok(error.code().to_owned())
        }
    }
}

pub(super) fn date(input: &[u8]) -> Result<String, String> {
    let text = String::from_utf8_lossy(input);
    match parse_due_date(&text) {
        Ok(date) => {
            ensure(parse_due_date(&date.to_string()) == Ok(date), "the text of a date is parsed to itself")?;
            ensure(format_date_br(date).len() == 10, "a date is shown")?;
            ensure(
                days_late(date, date) == 0 && days_until_due(date, date) == 0,
                "a bill is not late on its due date",
            )?;
            Ok("accepted".to_owned())
        }
        Err(error) => {
            check_text(&error.text())?;
            Ok(error.code().to_owned())
        }
    }
}

pub(super) fn name(input: &[u8]) -> Result<String, String> {
    let text = String::from_utf8_lossy(input);
    match ContactName::parse(&text) {
        Ok(name) => {
            ensure((1..=200).contains(&name.as_str().chars().count()), "a name has 1 to 200 characters")?;
            ensure(ContactName::parse(name.as_str()).as_ref() == Ok(&name), "the text of a name is parsed to itself")?;
            let (shown, first) = (name.display(), name.first_name());
            ensure(is_clean(name.as_str(), &[]) && is_clean(shown, &[]), "a name holds nothing invisible")?;
            ensure(!shown.trim().is_empty() && !first.is_empty() && shown.contains(first), "a name is shown")?;
            ensure(shown.chars().count() <= 800, "a name does not grow")?;
            Ok(format!("accepted {}", shown == name.as_str()))
        }
        Err(error) => {
            check_text(&error.text())?;
            Ok(error.code().to_owned())
        }
    }
}

pub(super) fn reference(input: &[u8]) -> Result<String, String> {
    let text = String::from_utf8_lossy(input);
    let candidates = Reference::candidates(&text);
    for candidate in candidates.iter().take(50) {
        ensure(
            Reference::parse(&candidate.to_string()) == Ok(*candidate),
            "the text of a reference is parsed to itself",
        )?;
    }
    match Reference::parse(&text) {
        Ok(reference) => {
            let written = format!("Ref. {reference}");
            ensure(reference.appears_in(&written), "a reference is found in its text")?;
            ensure(Reference::candidates(&written).contains(&reference), "a written reference is a candidate")?;
            Ok("accepted".to_owned())
        }
        Err(error) => Ok(format!("{} {}", error.code(), candidates.len().min(3))),
    }
}

pub(super) fn api_key(input: &[u8]) -> Result<String, String> {
    let text = String::from_utf8_lossy(input);
    let Some(key) = ParsedKey::parse(&text) else { return Ok("refused".to_owned()) };
    ensure(text.len() == 58 && text.is_ascii(), "a key has one length")?;
    ensure(key.lookup_prefix.len() == 8, "a prefix has one length")?;
    ensure(
        !key.has_hash(None) && !key.has_hash(Some(&[0; 32])) && !key.has_hash(Some(&[])),
        "no key matches a missing or empty hash",
    )?;
    Ok("read".to_owned())
}

pub(super) fn language(input: &[u8]) -> Result<String, String> {
    let text = String::from_utf8_lossy(input);
    Ok(format!("{:?}", Language::negotiate(Some(&text))))
}
