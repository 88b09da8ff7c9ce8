//! What the documents and the design say of the tree is held against the tree.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::{DependencyKind, MetadataCommand};

mod modules;
mod resource;
mod texts;
mod words;

/// Who may depend on whom: every room names those below it.
const MAY_USE: [(&str, &[&str]); 13] = [
    ("regua-domain", &[]),
    ("regua-store", &["regua-domain"]),
    ("regua-broker", &["regua-store", "regua-domain"]),
    ("regua-evolution", &["regua-domain"]),
    ("regua-secrets", &["regua-evolution", "regua-store", "regua-domain"]),
    ("regua-boot", &["regua-broker", "regua-store"]),
    ("regua-sandbox", &[]),
    ("regua-api", &["regua-boot", "regua-secrets", "regua-broker", "regua-evolution", "regua-store", "regua-domain"]),
    (
        "regua-worker",
        &["regua-boot", "regua-secrets", "regua-broker", "regua-evolution", "regua-store", "regua-domain"],
    ),
    (
        "regua-periodic",
        &["regua-boot", "regua-secrets", "regua-broker", "regua-evolution", "regua-store", "regua-domain"],
    ),
    (
        "regua",
        &[
            "regua-api",
            "regua-worker",
            "regua-periodic",
            "regua-sandbox",
            "regua-boot",
            "regua-secrets",
            "regua-broker",
            "regua-evolution",
            "regua-store",
            "regua-domain",
        ],
    ),
    ("regua-tests", &["*"]),
    ("regua-bench", &["*"]),
];

const ROOT_ENTRIES: [&str; 29] = [
    ".cargo",
    ".ci",
    ".dockerignore",
    ".env.example",
    ".gitignore",
    ".sqlx",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "Makefile",
    "Procfile",
    "README.md",
    "RELIABILITY.md",
    "SECURITY.md",
    "benches",
    "bins",
    "clippy.toml",
    "crates",
    "deny.toml",
    "deploy",
    "docs",
    "examples",
    "migrations",
    "rustfmt.toml",
    "scripts",
    "tests",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// A file that a tool leaves in the root is not committed by mistake. sqlx's macros, for example, write `query-….json` there
/// when they run with a live database and an empty `SQLX_OFFLINE_DIR`.
#[test]
fn root_holds_only_these_entries() {
    let files = Command::new("git").args(["ls-files"]).current_dir(root()).output().unwrap();
    let files = String::from_utf8(files.stdout).unwrap();
    let entries: BTreeSet<_> = files.lines().filter_map(|file| file.split('/').next()).collect();
    assert_eq!(entries, BTreeSet::from(ROOT_ENTRIES));
}

#[test]
fn dependencies_point_downwards_only() {
    let metadata = MetadataCommand::new().current_dir(root()).no_deps().exec().unwrap();
    let allowed: BTreeMap<_, _> = MAY_USE.into_iter().collect();
    for package in &metadata.packages {
        let may_use = allowed.get(package.name.as_str()).unwrap_or_else(|| panic!("{} has no place", package.name));
        let ours =
            package.dependencies.iter().filter(|used| used.path.is_some() && used.kind == DependencyKind::Normal);
        for used in ours {
            assert!(
                may_use.contains(&"*") || may_use.contains(&used.name.as_str()),
                "{} must not use {}",
                package.name,
                used.name
            );
        }
    }
}

/// What is depended on is used: a crate that nobody names is only something more to trust.
#[test]
fn every_dependency_is_named_in_the_code() {
    let metadata = MetadataCommand::new().current_dir(root()).no_deps().exec().unwrap();
    for package in &metadata.packages {
        let mut files = Vec::new();
        rust_files(package.manifest_path.parent().unwrap().as_std_path(), &mut files);
        let code: String = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
        let words: BTreeSet<_> = code.split(|other: char| !other.is_alphanumeric() && other != '_').collect();
        for used in &package.dependencies {
            let name = used.rename.as_ref().unwrap_or(&used.name).replace('-', "_");
            assert!(words.contains(name.as_str()), "{} depends on {name} and never names it", package.name);
        }
    }
}

fn rust_files(below: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(below).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_file_says_what_is_in_it() {
    let mut files = Vec::new();
    for room in ["crates", "bins", "tests", "benches/src"] {
        rust_files(&root().join(room), &mut files);
    }
    assert!(files.len() > 80, "only {} files were found", files.len());
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("//!"), "{} does not begin with //!", file.display());
    }
}

/// Tests and measures look at the tables directly; the programs do not.
#[test]
fn sql_stands_in_the_store_and_in_the_embedded_broker_only() {
    let mut files = Vec::new();
    for room in ["crates/domain", "crates/boot", "crates/secrets", "crates/evolution", "crates/broker/src", "bins"] {
        rust_files(&root().join(room), &mut files);
    }
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let is_allowed = file.ends_with("crates/broker/src/embedded.rs");
        assert!(is_allowed || !text.contains("query!("), "{} holds SQL", file.display());
    }
}

/// Behind a pooler in transaction mode the next statement may come to another session: each stands in a transaction.
#[test]
fn every_piece_of_work_is_a_transaction() {
    let mut files = Vec::new();
    for room in ["crates/store/src", "crates/broker/src", "crates/boot", "crates/secrets", "bins"] {
        rust_files(&root().join(room), &mut files);
    }
    // The first is refused behind such a pooler, the second asks only whether a connection can be had, and the third is
    // where connections come from.
    let needs_none =
        ["crates/broker/src/embedded.rs", "bins/regua/src/commands/doctor.rs", "crates/store/src/database/pool.rs"];
    for file in files.iter().filter(|file| !needs_none.iter().any(|one| file.ends_with(one))) {
        let text = std::fs::read_to_string(file).unwrap();
        let is_direct = text.contains("pool.acquire()") || text.contains("PgListener");
        assert!(!is_direct, "{} works with a connection outside of a transaction", file.display());
    }
}

/// No claim without its test: names in the right-hand columns of RELIABILITY.md's and docs/limits.md's tables, and in
/// the paragraphs `Test:` of docs/scale.md and docs/gateway.md.
#[test]
fn every_test_that_a_claim_names_exists() {
    let mut files = Vec::new();
    for room in ["crates", "bins", "tests"] {
        rust_files(&root().join(room), &mut files);
    }
    let code: String = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    let text = std::fs::read_to_string(root().join("RELIABILITY.md")).unwrap();
    let is_test = |name: &&str| {
        name.contains('_')
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    let (_, text) = text.split_once("## Claims and tests").expect("the claims");
    let limits = std::fs::read_to_string(root().join("docs/limits.md")).unwrap();
    let (_, limits) = limits.split_once("## Tests").expect("the tests of the limits");
    let security = std::fs::read_to_string(root().join("SECURITY.md")).unwrap();
    let (_, security) = security.split_once("## Threats").expect("the threats");
    let security: Vec<_> =
        security.lines().filter_map(|line| line.rsplit_once(" | ").filter(|_| line.starts_with("| "))).collect();
    let claims = text.lines().chain(limits.lines()).filter(|line| line.starts_with("| ") && line.contains('`'));
    let scale = std::fs::read_to_string(root().join("docs/scale.md")).unwrap();
    let gateway = std::fs::read_to_string(root().join("docs/gateway.md")).unwrap();
    let paragraphs = scale.split("\n\n").chain(gateway.split("\n\n"));
    let paragraphs = paragraphs.filter(|text| text.starts_with("Test: ") || text.starts_with("Tests: "));
    let names: Vec<_> = claims
        .filter_map(|line| line.split(" | ").nth(1))
        .chain(security.iter().map(|(_, tests)| *tests))
        .chain(paragraphs)
        .flat_map(|tests| tests.split('`').skip(1).step_by(2))
        .filter(is_test)
        .collect();
    assert!(names.len() > 40, "only {} names were found", names.len());
    for name in names {
        let stands = [format!("fn {name}("), format!("    {name}: \"")].iter().any(|form| code.contains(form));
        assert!(
            stands,
            "RELIABILITY.md, SECURITY.md, docs/limits.md, docs/scale.md or docs/gateway.md names {name}, which is no test"
        );
    }
}

/// What `scripts/mutations` takes out can still be taken out.
#[test]
fn every_mutation_fits_the_tree() {
    let patches: Vec<_> =
        std::fs::read_dir(root().join("tests/mutations")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(patches.len(), 3);
    for patch in patches {
        let fits = Command::new("git").args(["apply", "--check"]).arg(&patch).current_dir(root()).status().unwrap();
        assert!(fits.success(), "{} no longer fits: write it again", patch.display());
    }
}

#[test]
fn every_file_that_the_architecture_names_exists() {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let names: Vec<_> = text
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|name| name.contains('/') && !name.contains(' ') && !name.starts_with('/') && !name.contains("://"))
        .collect();
    assert!(names.len() > 20, "only {} names were found", names.len());
    for name in names {
        assert!(root().join(name.trim_end_matches('/')).exists(), "ARCHITECTURE.md names {name}, which does not exist");
    }
}
