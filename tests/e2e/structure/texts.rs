//! Texts for people: the code names only texts of the catalogue (`bins/api/texts/`), the catalogue has no others, and no
//! Portuguese sentence is in the code.

use std::collections::{BTreeMap, BTreeSet};

use regua_domain::{Language, Rule};
use syn::visit::{self, Visit};
use syn::{Attribute, ItemFn, ItemMod, LitStr, Macro};

use super::{root, rust_files};

/// The programs' code without test files, by its path from the root.
fn sources() -> BTreeMap<String, String> {
    let mut files = Vec::new();
    for room in ["crates", "bins"] {
        for package in std::fs::read_dir(root().join(room)).unwrap().map(|entry| entry.unwrap().path()) {
            rust_files(&package.join("src"), &mut files);
        }
    }
    let name = |file: &std::path::PathBuf| file.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
    let read = |file: std::path::PathBuf| (name(&file), std::fs::read_to_string(&file).unwrap());
    let is_test = |name: &String| name.contains("/tests/") || name.ends_with("/tests.rs");
    files.into_iter().map(read).filter(|(name, _)| !is_test(name)).collect()
}

/// The names of the data of each text in a file of the catalogue.
fn texts(language: Language) -> BTreeMap<String, BTreeSet<String>> {
    let file = root().join(format!("bins/api/texts/{language}.ftl"));
    let words = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let data =
        |words: &str| words.split("{ $").skip(1).map(|rest| rest.split_once(" }").unwrap().0.to_owned()).collect();
    let texts = words.lines().filter_map(|line| line.split_once(" = ").filter(|_| !line.starts_with('#')));
    texts.map(|(id, words)| (id.to_owned(), data(words))).collect()
}

/// The first argument of each call, where it is a literal.
fn literals<'a>(code: &'a str, call: &str) -> BTreeSet<&'a str> {
    let arguments = code.split(call).skip(1).filter_map(|rest| rest.trim_start().strip_prefix('"'));
    arguments.filter_map(|rest| rest.split('"').next()).collect()
}

/// The texts of the errors of a file: the literals of its functions `code`, and the codes in `input_error!`.
fn codes(code: &str) -> BTreeSet<String> {
    let bodies = code.split("pub fn code(&self) -> &'static str {").skip(1);
    let bodies = bodies.filter_map(|rest| rest.split("\n    }\n").next());
    let quoted = bodies.flat_map(|body| body.split('"').skip(1).step_by(2));
    let declared = declarations(code).flat_map(|body| literals(body, " = "));
    quoted.chain(declared).map(|code| code.replace('_', "-")).collect()
}

/// The bodies of `input_error!`.
fn declarations(code: &str) -> impl Iterator<Item = &str> {
    code.split("input_error! {\n").skip(1).filter_map(|rest| rest.split("\n}\n").next())
}

/// The data of the texts of `input_error!`: its fields, and what `with` and `with_text` add.
fn declared_data(code: &str) -> BTreeSet<&str> {
    let ends = declarations(code).flat_map(|body| body.split(": ").chain(body.split(" = ")));
    ends.filter_map(|end| end.rsplit(|other: char| !other.is_alphanumeric() && other != '_').next()).collect()
}

#[test]
fn code_and_catalogue_have_the_same_texts() {
    let rules: BTreeSet<_> = Rule::ALL.iter().map(|rule| format!("rule-{rule}").replace('_', "-")).collect();
    let mut named = BTreeSet::new();
    for (file, code) in sources() {
        named.extend(literals(&code, "Text::of(").into_iter().map(str::to_owned));
        named.extend(if file.starts_with("crates/domain/") { codes(&code) } else { BTreeSet::new() });
    }
    assert!(named.len() > 150, "only {} texts were found", named.len());
    named.extend(rules);
    for language in Language::ALL {
        let mut texts: BTreeSet<_> = texts(language).into_keys().collect();
        // The titles and details of all problem codes are compared in the API.
        texts.retain(|id| named.contains(id) || !id.starts_with("problem-"));
        assert_eq!(named, texts, "{language}");
    }
}

#[test]
fn code_gives_the_data_of_its_texts() {
    let catalogue = texts(Language::English);
    for (file, code) in sources() {
        let mut given: BTreeSet<_> = [".with(", ".with_text("].iter().flat_map(|call| literals(&code, call)).collect();
        given.extend(declared_data(&code));
        let mut ids: BTreeSet<_> = literals(&code, "Text::of(").into_iter().map(str::to_owned).collect();
        if file.starts_with("crates/domain/") {
            ids.extend(codes(&code));
        }
        let needed: BTreeSet<_> = ids.iter().filter_map(|id| catalogue.get(id)).flatten().map(String::as_str).collect();
        if !ids.is_empty() {
            assert!(needed.is_subset(&given), "{file} gives {given:?}, and its texts show {needed:?}");
        }
    }
}

/// Data and fixtures in Portuguese.
const PORTUGUESE: [(&str, &str); 5] = [
    ("crates/domain/src/charset.rs", "the letters of code page 850"),
    ("bins/regua/src/fleet/example_tenant.rs", "the name of the tenant of `regua dev` and `regua demo`"),
    ("bins/api/src/intake/batch.rs", "the example of a batch's name in the OpenAPI document"),
    ("bins/api/src/routes/tenant/holidays.rs", "the example of a closed day in the OpenAPI document"),
    ("bins/sandbox/src/sending.rs", "the name that Baileys shows for the own number"),
];

/// Literals that look like Portuguese: accents, or two words of it.
#[derive(Default)]
struct Portuguese(Vec<String>);

const ACCENTED: &str = "áàâãéêíóôõúçÁÀÂÃÉÊÍÓÔÕÚÇ";
const WORDS: [&str; 14] =
    ["um", "uma", "de", "que", "com", "para", "por", "deve", "ser", "campo", "envie", "escreva", "mais", "aceitos"];

impl Portuguese {
    fn judge(&mut self, text: &str) {
        let text = text.replace("Régua", "");
        let words: BTreeSet<_> = text.split(|other: char| !other.is_alphabetic()).map(str::to_lowercase).collect();
        let known = WORDS.iter().filter(|word| words.contains(**word)).count();
        if known >= 2 || text.contains(|character| ACCENTED.contains(character)) {
            self.0.push(text.chars().take(80).collect());
        }
    }
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg") && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
    })
}

impl<'ast> Visit<'ast> for Portuguese {
    fn visit_lit_str(&mut self, literal: &'ast LitStr) {
        self.judge(&literal.value());
    }

    fn visit_macro(&mut self, called: &'ast Macro) {
        let tokens = called.tokens.to_string();
        tokens.split('"').skip(1).step_by(2).for_each(|text| self.judge(text));
    }

    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        if !is_test(&module.attrs) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        if !is_test(&function.attrs) {
            visit::visit_item_fn(self, function);
        }
    }

    /// Comments, and the texts of the OpenAPI document and of `--help`.
    fn visit_attribute(&mut self, _: &'ast Attribute) {}
}

#[test]
fn portuguese_is_in_the_catalogue_alone() {
    let mut found = Vec::new();
    for (file, code) in sources() {
        let mut portuguese = Portuguese::default();
        portuguese.visit_file(&syn::parse_file(&code).unwrap());
        if PORTUGUESE.iter().any(|(data, _)| *data == file) {
            assert!(!portuguese.0.is_empty(), "{file} needs no exception");
        } else {
            found.extend(portuguese.0.into_iter().map(|text| format!("{file}: {text}")));
        }
    }
    assert!(found.is_empty(), "texts for people belong in bins/api/texts:\n{}", found.join("\n"));
}
