//! Mutates inputs: flips bits, moves pieces, and inserts words, boundary numbers and characters that often reveal bugs.

use fastrand::Rng;

use super::Target;

/// Characters of several bytes, without width, that reverse the direction, change length with case, or end texts.
const CHARACTERS: [char; 40] = [
    '\0', '\t', '\n', '\r', '\u{b}', '\u{1b}', ' ', '"', '\'', '\\', '/', ':', ';', ',', '{', '}', '[', '<', '&', '=',
    '+', '-', '@', '\u{7f}', '\u{85}', '\u{a0}', '\u{ad}', 'ß', 'İ', 'ﬁ', 'ǅ', '\u{301}', '\u{200b}', '\u{200d}',
    '\u{202e}', '\u{2028}', '\u{feff}', '\u{fffd}', '٣', '👩',
];
const NUMBERS: [&str; 16] = [
    "0",
    "-1",
    "1",
    "00",
    "127",
    "256",
    "4096",
    "4097",
    "65536",
    "2147483648",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551616",
    "1e308",
    "1e999",
];
const VALUES: [&str; 12] = [
    "null",
    "true",
    "{}",
    "[]",
    "\"\"",
    "0",
    "-0.0",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "[[[[[[]]]]]]",
    "{\"a\":{\"a\":{}}}",
    "\"a\"",
];

/// A hash of a text (FNV-1a).
pub(super) fn seed_of(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// A mutated input of the pool, or one made of the target's words alone.
pub(super) fn mutated(rng: &mut Rng, pool: &[Vec<u8>], target: &Target) -> Vec<u8> {
    let mut input = if rng.u8(..) < 16 { words(rng, target) } else { picked(rng, pool).to_vec() };
    for _ in 0..=rng.usize(..6) {
        mutate(rng, &mut input, pool, target);
    }
    input.truncate(target.max_bytes);
    input
}

fn picked<'a>(rng: &mut Rng, pool: &'a [Vec<u8>]) -> &'a [u8] {
    pool.get(rng.usize(..pool.len().max(1))).map(Vec::as_slice).unwrap_or_default()
}

fn words(rng: &mut Rng, target: &Target) -> Vec<u8> {
    (0..rng.usize(..12)).flat_map(|_| word(rng, target).as_bytes().to_vec()).collect()
}

fn word(rng: &mut Rng, target: &Target) -> &'static str {
    rng.choice(target.words.iter()).copied().unwrap_or_default()
}

fn mutate(rng: &mut Rng, input: &mut Vec<u8>, pool: &[Vec<u8>], target: &Target) {
    let (from, to) = range(rng, input.len());
    match rng.u8(..13) {
        0 => flip(rng, input),
        1 => drop(input.splice(from..from, word(rng, target).bytes())),
        2 => drop(input.splice(from..to, word(rng, target).bytes())),
        3 => drop(input.drain(from..to)),
        4 => {
            let again = input[from..to].to_vec();
            drop(input.splice(to..to, again));
        }
        5 => {
            let other = picked(rng, pool);
            let (begin, end) = range(rng, other.len());
            drop(input.splice(from..to, other[begin..end].to_vec()));
        }
        6 => {
            let character = rng.choice(CHARACTERS).unwrap_or_default();
            drop(input.splice(from..from, character.encode_utf8(&mut [0; 4]).bytes().collect::<Vec<_>>()));
        }
        7 => number(rng, input),
        8 => repeat(rng, input, from, to, target.max_bytes),
        9 => input.truncate(from),
        10 => drop(input.splice(from..to, rng.choice(VALUES).unwrap_or_default().bytes())),
        11 => input[from..to].iter_mut().for_each(|byte| *byte ^= if byte.is_ascii_alphabetic() { 0x20 } else { 0 }),
        _ => {
            let byte = rng.u8(..);
            drop(input.splice(from..from, [byte]));
        }
    }
}

/// Prefers short ranges.
fn range(rng: &mut Rng, length: usize) -> (usize, usize) {
    let from = rng.usize(..=length);
    let longest = if rng.bool() { 8 } else { length };
    (from, (from + rng.usize(..=longest)).min(length))
}

fn flip(rng: &mut Rng, input: &mut [u8]) {
    if !input.is_empty() {
        let at = rng.usize(..input.len());
        input[at] ^= 1 << rng.u8(..8);
    }
}

/// Replaces a number with a boundary number.
fn number(rng: &mut Rng, input: &mut Vec<u8>) {
    let begins = rng.usize(..=input.len());
    let Some(from) = (begins..input.len()).find(|at| input[*at].is_ascii_digit()) else { return };
    let length = input[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    drop(input.splice(from..from + length, rng.choice(NUMBERS).unwrap_or_default().bytes()));
}

/// Repeats a piece, which reveals quadratic running times.
fn repeat(rng: &mut Rng, input: &mut Vec<u8>, from: usize, to: usize, max_bytes: usize) {
    let piece = input[from..to].to_vec();
    let max_times = max_bytes.saturating_sub(input.len()) / piece.len().max(1);
    if !piece.is_empty() && max_times > 0 {
        let times = if rng.u8(..) < 8 { max_times } else { rng.usize(..=max_times.min(64)) };
        drop(input.splice(to..to, piece.repeat(times)));
    }
}
