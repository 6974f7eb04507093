//! Files do not import each other in a circle.

use std::collections::{BTreeMap, BTreeSet};

use syn::{Item, UseTree};

use super::{files, read, report};

/// Files that may be in a circle, each with the reason.
const IN_A_CIRCLE: &[(&str, &str)] = &[];

/// A module's file, by the module's path: `["sql", "group"]` is `sql/group/mod.rs`.
type Modules = BTreeMap<Vec<String>, String>;

#[test]
fn files_do_not_import_each_other_in_a_circle() {
    let modules = modules();
    let mut imports: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (module, file) in &modules {
        let parsed = syn::parse_file(&read(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        for path in imported(&parsed.items, module) {
            let Some(target) = file_of(&path, &modules) else { continue };
            // A folder's `mod.rs` names what is in the folder, and has what the folder's files share.
            if target != file && !is_folder_of(target, file) && !is_folder_of(file, target) {
                imports.entry(file).or_default().insert(target);
            }
        }
    }
    assert!(imports.len() > 100, "few files were found to import anything: {}", imports.len());
    let mut broken = Vec::new();
    for file in imports.keys() {
        let reached = reached_from(file, &imports);
        let is_excepted = IN_A_CIRCLE.iter().any(|(excepted, _)| excepted == file);
        if reached.contains(file) && !is_excepted {
            let circle = reached.iter().filter(|other| reached_from(other, &imports).contains(file));
            broken.push(format!("{file}: {}", circle.copied().collect::<Vec<_>>().join(", ")));
        }
    }
    report("put what both files need into a file of its own, or give the reason in IN_A_CIRCLE", &broken);
}

fn modules() -> Modules {
    let source = "ferro-idem/src/";
    files(&[source.trim_end_matches('/')], "rs")
        .into_iter()
        // The tests of a file are a part of it.
        .filter(|file| !file.ends_with("_tests.rs"))
        .map(|file| {
            let path = file.trim_start_matches(source).trim_end_matches(".rs").trim_end_matches("/mod");
            let path = if path == "lib" { "" } else { path };
            (path.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect(), file)
        })
        .collect()
}

/// What the `use` items of a module name within the crate, as paths from its root. Those of tests are left out.
fn imported(items: &[Item], module: &[String]) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    for item in items {
        if let Item::Use(used) = item {
            leaves(&used.tree, &mut Vec::new(), &mut paths);
        }
    }
    paths.iter().filter_map(|path| from_the_root(path, module)).collect()
}

fn leaves(tree: &UseTree, before: &mut Vec<String>, paths: &mut Vec<Vec<String>>) {
    match tree {
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            leaves(&path.tree, before, paths);
            before.pop();
        }
        UseTree::Group(group) => group.items.iter().for_each(|tree| leaves(tree, before, paths)),
        UseTree::Name(name) => paths.push(with(before, &name.ident.to_string())),
        UseTree::Rename(renamed) => paths.push(with(before, &renamed.ident.to_string())),
        UseTree::Glob(_) => paths.push(before.clone()),
    }
}

fn with(before: &[String], name: &str) -> Vec<String> {
    before.iter().cloned().chain([name.to_owned()]).collect()
}

fn from_the_root(path: &[String], module: &[String]) -> Option<Vec<String>> {
    let (first, rest) = path.split_first()?;
    match first.as_str() {
        "crate" => Some(rest.to_vec()),
        "self" => Some(module.iter().chain(rest).cloned().collect()),
        "super" => {
            let (_, parent) = module.split_last()?;
            match rest.first().map(String::as_str) {
                Some("super") => from_the_root(rest, parent),
                _ => Some(parent.iter().chain(rest).cloned().collect()),
            }
        }
        _ => None,
    }
}

/// The file of the longest beginning of the path that is a module. The root's re-exports are left out.
fn file_of<'m>(path: &[String], modules: &'m Modules) -> Option<&'m str> {
    (1..=path.len()).rev().find_map(|length| modules.get(&path[..length])).map(String::as_str)
}

/// Whether `file` is the `mod.rs` of a folder around `other`.
fn is_folder_of(file: &str, other: &str) -> bool {
    file.strip_suffix("mod.rs").is_some_and(|folder| other.starts_with(folder))
}

fn reached_from<'f>(file: &str, imports: &BTreeMap<&'f str, BTreeSet<&'f str>>) -> BTreeSet<&'f str> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&str> = imports.get(file).into_iter().flatten().copied().collect();
    while let Some(other) = next.pop() {
        if reached.insert(other) {
            next.extend(imports.get(other).into_iter().flatten().copied());
        }
    }
    reached
}
