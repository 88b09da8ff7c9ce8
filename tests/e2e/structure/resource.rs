//! docs/new-resource.md is a worked example of a resource: its code is short, and what it uses exists.

use std::collections::BTreeSet;

use super::{root, rust_files};

fn page() -> String {
    std::fs::read_to_string(root().join("docs/new-resource.md")).unwrap()
}

/// The code of the tree without its tests.
fn code() -> String {
    let mut files = Vec::new();
    for room in ["crates/domain/src", "crates/store/src", "bins/api/src"] {
        rust_files(&root().join(room), &mut files);
    }
    files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect()
}

fn words(text: &str) -> BTreeSet<&str> {
    text.split(|other: char| !(other.is_alphanumeric() || other == '_')).filter(|word| !word.is_empty()).collect()
}

/// The page's own nouns, and the words of its texts, are not in the tree.
fn is_of_the_example(word: &str) -> bool {
    word.to_lowercase().contains("label") || word.chars().all(|character| character.is_ascii_digit())
}

#[test]
fn worked_example_of_a_resource_uses_existing_parts() {
    let (page, code) = (page(), code());
    let existing = words(&code);
    let mut missing = BTreeSet::new();
    for block in page.split("```rust").skip(1).filter_map(|rest| rest.split("```").next()) {
        let lines = block.lines().filter(|line| !line.trim_start().starts_with("//"));
        let without_strings: String = lines.map(|line| line.split('"').step_by(2).collect::<String>() + "\n").collect();
        let used = words(&without_strings).into_iter().map(str::to_owned);
        missing.extend(used.filter(|word| !existing.contains(word.as_str()) && !is_of_the_example(word)));
    }
    assert!(missing.is_empty(), "docs/new-resource.md uses what does not exist: {missing:?}");
}

#[test]
fn parts_and_files_that_the_worked_example_names_exist() {
    let (page, code) = (page(), code());
    let rows: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    assert!(rows.len() > 5, "only {rows:?}");
    for part in rows {
        let is_defined = ["struct", "macro_rules!", "fn", "trait"]
            .iter()
            .any(|kind| [" ", "<", "(", ";"].iter().any(|end| code.contains(&format!("{kind} {part}{end}"))));
        assert!(is_defined, "docs/new-resource.md names {part}, which does not exist");
    }
    let files = page.split('`').skip(1).step_by(2).filter(|name| name.contains('/') && !name.contains(['{', ' ', '…']));
    for file in files.filter(|file| !is_of_the_example(file) && !file.starts_with('/')) {
        assert!(root().join(file).exists(), "docs/new-resource.md names {file}, which does not exist");
    }
}

#[test]
fn ordinary_resource_takes_at_most_ninety_lines() {
    let page = page();
    let routes = page.split("```rust\n").nth(2).and_then(|rest| rest.split("```").next()).unwrap();
    assert!(routes.starts_with("//! "), "the second block is the file of the routes");
    assert!(routes.lines().count() <= 90, "{} lines", routes.lines().count());
}
