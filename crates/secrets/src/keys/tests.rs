//! A sealed secret opens at its place with a known key, and in no other case.

use clap::{CommandFactory, Parser};
use proptest::prelude::*;

use super::*;

fn base64_of(byte: u8) -> String {
    STANDARD.encode([byte; KEY_BYTES])
}

fn keys(current: u8, old: &[u8]) -> SecretKeys {
    let old_keys = old.iter().map(|byte| base64_of(*byte)).collect::<Vec<_>>().join(", ");
    SecretArguments { secret_key: Some(base64_of(current)), old_secret_keys: Some(old_keys) }.keys().unwrap()
}

fn place(row: u128) -> Place {
    Place::instance_token(TenantId(Uuid::from_u128(1)), InstanceId(Uuid::from_u128(row)))
}

proptest! {
    #[test]
    fn sealed_secret_opens_again_and_does_not_contain_the_plain_text(plain in ".{0,200}", row: u128) {
        let (keys, place) = (keys(1, &[]), place(row));
        let sealed = keys.seal(&place, &plain).unwrap();
        prop_assert_eq!(keys.open(&place, sealed.as_str()), Ok(plain.clone()));
        prop_assert!(plain.len() < 4 || !sealed.as_str().contains(&plain));
        // Each sealing yields a different ciphertext.
        prop_assert_ne!(keys.seal(&place, &plain).unwrap(), sealed);
    }

    #[test]
    fn flipped_bit_is_detected(plain in ".{0,40}", at: prop::sample::Index, bit in 0..8_u8) {
        let (keys, place) = (keys(1, &[]), place(7));
        let sealed = keys.seal(&place, &plain).unwrap();
        let mut bytes = STANDARD.decode(sealed.ciphertext()).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let changed = Sealed::from_parts(sealed.key_id(), &STANDARD.encode(bytes)).unwrap();
        prop_assert_eq!(keys.open(&place, changed.as_str()), Err(CannotOpen::Broken));
    }

    #[test]
    fn sealed_secret_opens_at_no_other_place(plain in ".{0,40}", row: u128, other: u128) {
        prop_assume!(row != other);
        let keys = keys(1, &[]);
        let sealed = keys.seal(&place(row), &plain).unwrap();
        let elsewhere = [
            place(other),
            Place::instance_token(TenantId(Uuid::from_u128(2)), InstanceId(Uuid::from_u128(row))),
            Place::new("users.totp_seed", &[Uuid::from_u128(1), Uuid::from_u128(row)]),
            Place::new("instances.token", &[Uuid::from_u128(row)]),
        ];
        for place in elsewhere {
            prop_assert_eq!(keys.open(&place, sealed.as_str()), Err(CannotOpen::Broken));
        }
    }

    #[test]
    fn malformed_stored_text_is_an_error(stored in ".{0,80}") {
        let (keys, place) = (keys(1, &[]), place(7));
        let known = format!("v1:{}:{stored}", keys.current_id());
        prop_assert!(keys.open(&place, &stored).is_err() && keys.open(&place, &known).is_err());
    }
}

#[test]
fn old_key_opens_and_current_key_seals() {
    let before = keys(1, &[]);
    let sealed = before.seal(&place(7), "segredo").unwrap();
    let after = keys(2, &[3, 1]);
    assert_eq!(after.open(&place(7), sealed.as_str()).as_deref(), Ok("segredo"));
    assert_ne!(before.current_id(), after.current_id());
    assert_eq!(after.seal(&place(7), "segredo").unwrap().key_id(), after.current_id());
    assert!(after.has(before.current_id()) && !before.has(after.current_id()));
}

#[test]
fn unknown_key_is_named_and_the_secret_is_not() {
    let sealed = keys(1, &[]).seal(&place(7), "segredo").unwrap();
    let error = keys(2, &[3]).open(&place(7), sealed.as_str()).unwrap_err();
    assert_eq!(error, CannotOpen::UnknownKey(sealed.key_id().to_owned()));
    let text = format!("{error} {error:?}");
    assert!(text.contains(sealed.key_id()) && !text.contains(sealed.ciphertext()), "{text}");
}

#[test]
fn plain_text_is_read_only_by_open_or_plain() {
    let foreign = keys(2, &[]).seal(&place(7), "segredo").unwrap();
    let keys = keys(1, &[]);
    assert_eq!(keys.open(&place(7), "token-de-antes"), Err(CannotOpen::NotSealed));
    assert_eq!(keys.open_or_plain(&place(7), "token-de-antes").as_deref(), Ok("token-de-antes"));
    assert!(keys.open_or_plain(&place(7), foreign.as_str()).is_err(), "a sealed secret is never read as plain text");
}

#[test]
fn missing_or_wrong_key_is_reported_by_its_variable_without_its_value() {
    let wrong = "c2VncmVkby1jdXJ0bw==";
    let of = |secret_key: Option<&str>, old: Option<&str>| {
        let old_secret_keys = old.map(str::to_owned);
        let keys = SecretArguments { secret_key: secret_key.map(str::to_owned), old_secret_keys }.keys();
        format!("{:#}", keys.unwrap_err())
    };
    for (error, variable) in [
        (of(None, None), "REGUA_SECRET_KEY is not set"),
        (of(Some(""), None), "REGUA_SECRET_KEY is not set"),
        (of(Some(wrong), None), "REGUA_SECRET_KEY is not"),
        (of(Some(&base64_of(1)), Some(&format!("{},{wrong}", base64_of(2)))), "REGUA_OLD_SECRET_KEYS"),
    ] {
        assert!(error.contains(variable) && !error.contains(wrong), "{error}");
    }
}

#[test]
fn neither_debug_nor_help_shows_a_key() {
    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        secrets: SecretArguments,
    }
    let (key, old) = (base64_of(1), base64_of(2));
    let program = Program::try_parse_from(["x", "--secret-key", &key, "--old-secret-keys", &old]).unwrap();
    let shown = format!("{program:?} {:?}", program.secrets.keys().unwrap());
    assert!(!shown.contains(&key) && !shown.contains(&old), "{shown}");
    let hides = |argument: &clap::Arg| argument.get_env().is_none() || argument.is_hide_env_values_set();
    assert!(Program::command().get_arguments().all(hides));
    assert!(SecretArguments::default().keys_or_development().is_ok());
}
