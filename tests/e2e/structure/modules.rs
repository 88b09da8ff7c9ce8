//! No circle among the modules of a package: siblings, each with all that is below it, import in one direction. A parent and
//! its children are one room, so imports between them do not count. Code behind `#[cfg(test)]` does not count either.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Attribute, File, Item, ItemMod, ItemUse, Macro, UseTree};

use super::root;

/// A module's name from the crate's root; empty for the root.
type Name = Vec<String>;

/// A module as its source describes it.
#[derive(Default)]
struct Module {
    children: BTreeSet<String>,
    /// What its `use` declarations bring into scope, by the name that they give to it.
    imports: BTreeMap<String, Name>,
    globs: Vec<Name>,
    /// All paths within the crate that it names.
    references: Vec<Name>,
}

#[derive(Default)]
struct Package(BTreeMap<Name, Module>);

#[test]
fn modules_import_each_other_in_one_direction() {
    let mut circles = Vec::new();
    let mut modules = 0;
    for package in packages() {
        let read = Package::read(&package);
        modules += read.0.len();
        circles.extend(read.circles().into_iter().map(|circle| format!("{}: {circle}", package.display())));
    }
    assert!(modules > 300, "only {modules} modules were found");
    assert!(circles.is_empty(), "circles among modules:\n{}", circles.join("\n"));
}

fn packages() -> Vec<PathBuf> {
    let mut packages = vec![root().join("tests"), root().join("benches")];
    for room in ["crates", "bins"] {
        packages.extend(std::fs::read_dir(root().join(room)).unwrap().map(|entry| entry.unwrap().path()));
    }
    packages
}

impl Package {
    fn read(package: &Path) -> Self {
        let source = package.join("src");
        let file = ["lib.rs", "main.rs"].map(|name| source.join(name)).into_iter().find(|file| file.exists());
        let mut read = Self::default();
        read.add(Vec::new(), &parse(&file.expect("a lib.rs or a main.rs")).items, &source);
        read
    }

    fn add(&mut self, name: Name, items: &[Item], folder: &Path) {
        let mut reader = Reader { name: name.clone(), module: Module::default() };
        let mut below = Vec::new();
        for item in items {
            match item {
                Item::Mod(module) if !is_test(&module.attrs) => {
                    reader.module.children.insert(module.ident.to_string());
                    below.push(module);
                }
                _ => reader.visit_item(item),
            }
        }
        for module in below {
            self.add_child(&name, module, folder);
        }
        self.0.insert(name, reader.module);
    }

    fn add_child(&mut self, parent: &Name, module: &ItemMod, folder: &Path) {
        let own = module.ident.to_string();
        let name: Name = parent.iter().cloned().chain([own.clone()]).collect();
        if let Some((_, items)) = &module.content {
            self.add(name, items, &folder.join(&own));
            return;
        }
        let file = [format!("{own}.rs"), format!("{own}/mod.rs")].map(|file| folder.join(file));
        let file = file.into_iter().find(|file| file.exists()).unwrap_or_else(|| panic!("{name:?} has no file"));
        self.add(name, &parse(&file).items, &folder.join(&own));
    }

    /// The module in which a path ends; imports are followed to what they name.
    fn module_of(&self, path: &[String], depth: usize) -> Option<Name> {
        let mut name = Vec::new();
        for (at, segment) in path.iter().enumerate() {
            let module = &self.0[&name];
            if module.children.contains(segment) {
                name.push(segment.clone());
                continue;
            }
            if depth > 8 {
                return None;
            }
            let imported = module.imports.get(segment).cloned();
            let by_glob = module.globs.iter().map(|glob| [glob.as_slice(), std::slice::from_ref(segment)].concat());
            let found = imported
                .into_iter()
                .chain(by_glob)
                .map(|path_of_import| [path_of_import, path[at + 1..].to_vec()].concat())
                .filter_map(|path_of_import| self.module_of(&path_of_import, depth + 1))
                .find(|found| *found != name);
            return Some(found.unwrap_or(name));
        }
        Some(name)
    }

    /// Who imports whom among the children of each module, with one module that does so.
    fn arrows(&self) -> BTreeMap<Name, BTreeMap<String, BTreeMap<String, String>>> {
        let mut arrows: BTreeMap<Name, BTreeMap<String, BTreeMap<String, String>>> = BTreeMap::new();
        for (from, module) in &self.0 {
            for to in module.references.iter().filter_map(|path| self.module_of(path, 0)) {
                let common = from.iter().zip(&to).take_while(|(left, right)| left == right).count();
                if common == from.len() || common == to.len() {
                    continue;
                }
                let siblings = arrows.entry(from[..common].to_vec()).or_default();
                let example = format!("{} -> {}", from.join("::"), to.join("::"));
                siblings.entry(from[common].clone()).or_default().entry(to[common].clone()).or_insert(example);
            }
        }
        arrows
    }

    fn circles(&self) -> Vec<String> {
        let mut circles = Vec::new();
        for (parent, mut siblings) in self.arrows() {
            // A module that imports nothing that is left, or that nothing left imports, is in no circle.
            loop {
                let before = siblings.len();
                let importing: BTreeSet<_> = siblings.keys().cloned().collect();
                for imported in siblings.values_mut() {
                    imported.retain(|sibling, _| importing.contains(sibling));
                }
                let imported: BTreeSet<_> = siblings.values().flat_map(BTreeMap::keys).cloned().collect();
                siblings.retain(|sibling, imports| !imports.is_empty() && imported.contains(sibling));
                if siblings.len() == before {
                    break;
                }
            }
            let examples: Vec<_> = siblings.values().flat_map(BTreeMap::values).cloned().collect();
            if !examples.is_empty() {
                circles.push(format!("in `{}`: {}", parent.join("::"), examples.join(", ")));
            }
        }
        circles
    }
}

/// Collects the paths of one module.
struct Reader {
    name: Name,
    module: Module,
}

impl Reader {
    /// The path from the crate's root; none for a path into another crate.
    fn absolute(&self, path: &[String]) -> Option<Name> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => Some(rest.to_vec()),
            "self" => Some([self.name.as_slice(), rest].concat()),
            "super" => {
                let above = path.iter().take_while(|segment| *segment == "super").count();
                let parent = self.name.get(..self.name.len().checked_sub(above)?)?;
                Some([parent, &path[above..]].concat())
            }
            own if self.module.children.contains(own) => Some([self.name.as_slice(), path].concat()),
            _ => None,
        }
    }

    fn import(&mut self, before: &[String], tree: &UseTree) {
        match tree {
            UseTree::Path(path) => self.import(&[before, &[path.ident.to_string()]].concat(), &path.tree),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.import(before, tree)),
            UseTree::Name(name) if name.ident == "self" => {
                let own = before.last().cloned().unwrap_or_default();
                self.bring(own, before);
            }
            UseTree::Name(name) => {
                let own = name.ident.to_string();
                self.bring(own.clone(), &[before, &[own]].concat());
            }
            UseTree::Rename(rename) => {
                self.bring(rename.rename.to_string(), &[before, &[rename.ident.to_string()]].concat());
            }
            UseTree::Glob(_) => {
                if let Some(path) = self.absolute(before) {
                    self.module.globs.push(path.clone());
                    self.module.references.push(path);
                }
            }
        }
    }

    fn bring(&mut self, name: String, path: &[String]) {
        if let Some(path) = self.absolute(path) {
            self.module.references.push(path.clone());
            self.module.imports.insert(name, path);
        }
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast Item) {
        let is_test = match item {
            Item::Fn(item) => is_test(&item.attrs),
            Item::Impl(item) => is_test(&item.attrs),
            Item::Use(item) => is_test(&item.attrs),
            Item::Mod(item) => is_test(&item.attrs),
            _ => false,
        };
        if !is_test {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.import(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<_> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if segments.len() > 1 {
            self.module.references.extend(self.absolute(&segments));
        }
        visit::visit_path(self, path);
    }

    /// What a macro is called with is no syntax yet: only `crate::…` is found in it.
    fn visit_macro(&mut self, called: &'ast Macro) {
        let text = called.tokens.to_string();
        for path in text.split("crate ::").skip(1) {
            let segments = path.split("::").map(str::trim).take_while(|segment| is_identifier(segment));
            self.module.references.push(segments.map(str::to_owned).collect());
        }
        visit::visit_macro(self, called);
    }
}

fn is_identifier(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|character| character.is_alphanumeric() || character == '_')
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.meta.require_list().is_ok_and(|list| list.tokens.to_string() == "test")
    })
}

fn parse(file: &Path) -> File {
    let text = std::fs::read_to_string(file).unwrap();
    syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}
