//! Plain words (docs/style.md): the tree has none of the phrases that make a sentence hard to read, and none of the names that
//! docs/glossary.md excludes.

use std::process::Command;

use super::root;

/// Phrases that stand for a missing noun. `nobody` is a word of the audit log, and is judged by readers.
const PHRASES: [&str; 12] = [
    "whoever",
    "somebody",
    "anybody",
    "anew",
    "of which",
    "what stands",
    "as it stands",
    "is told",
    "was told",
    "comes in",
    "came in",
    "besides",
];

/// Names that say neither what a thing is nor what it does.
const NAMES: [&str; 11] =
    ["note", "settle", "share", "kept", "taken", "told", "verdict", "desk", "hand", "knock", "welcome"];

/// They quote what they exclude.
const QUOTING: [&str; 3] = ["docs/style.md", "docs/glossary.md", "tests/e2e/structure/words.rs"];

fn texts() -> Vec<(String, String)> {
    let listed = Command::new("git").args(["ls-files"]).current_dir(root()).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let is_text = |file: &&str| {
        let is_prose = [".rs", ".md", ".sql", "Makefile"].iter().any(|ending| file.ends_with(ending));
        (is_prose || file.starts_with("scripts/")) && !QUOTING.contains(file)
    };
    let read = |file: &str| (file.to_owned(), std::fs::read_to_string(root().join(file)).unwrap());
    listed.lines().filter(is_text).map(read).collect()
}

#[test]
fn texts_avoid_phrases_that_hide_the_subject() {
    let texts = texts();
    assert!(texts.len() > 400, "only {} texts were found", texts.len());
    let mut found = Vec::new();
    for (file, text) in &texts {
        for (number, line) in text.lines().enumerate() {
            let words = format!(" {} ", line.to_lowercase().replace(|c: char| !c.is_alphanumeric(), " "));
            let phrases = PHRASES.iter().filter(|phrase| words.contains(&format!(" {phrase} ")));
            found.extend(phrases.map(|phrase| format!("{file}:{}: {phrase}", number + 1)));
        }
    }
    assert!(found.is_empty(), "plain words are missing:\n{}", found.join("\n"));
}

#[test]
fn names_are_words_of_the_field() {
    let mut found = Vec::new();
    for (file, text) in texts().iter().filter(|(file, _)| file.ends_with(".rs")) {
        for (number, line) in text.lines().enumerate() {
            let mut words = line.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty());
            let defines = words.by_ref().any(|word| ["fn", "struct", "enum", "trait", "mod", "type"].contains(&word));
            let name = words.next().unwrap_or_default().to_lowercase();
            if defines && NAMES.contains(&name.as_str()) && !line.trim_start().starts_with("//") {
                found.push(format!("{file}:{}: {name}", number + 1));
            }
        }
    }
    assert!(found.is_empty(), "names that docs/glossary.md excludes:\n{}", found.join("\n"));
}
