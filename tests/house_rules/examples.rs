//! Each public item shows how it is used.

use std::collections::BTreeMap;

use quote::ToTokens;
use syn::{Attribute, Item, UseTree, Visibility};

use super::{files, read, report};

/// Items without an example of their own, each with the reason. Methods are shown by their type.
const WITHOUT_EXAMPLE: &[(&str, &str)] = &[
    ("ClaimOutcome", "the example of ClaimLog matches on it"),
    ("Ownership", "the example of ClaimLog completes with it"),
    ("Owner", "the example of ClaimLog makes one"),
    ("MarkOutcome", "the example of TransactionalLog compares it"),
    ("Detached", "the return type of two methods of TransactionalLog"),
    ("DEFAULT_LEASE", "a number"),
    ("MIN_LEASE", "a number"),
    ("RETENTION", "a number"),
    ("SIGNATURE_HEADER", "a header's name"),
    ("InvalidTableName", "an error: SqlLog::with_table says when"),
    ("StripeRejection", "an error: the extractor's"),
    ("SqlLog", "PostgresLog, MySqlLog and SqliteLog have one each"),
    ("SqlTransaction", "the attribute hands its connection to the body"),
    ("PostgresTransaction", "as SqlTransaction"),
    ("MySqlTransaction", "as SqlTransaction"),
    ("SqliteTransaction", "as SqlTransaction"),
    ("LayerLog", "SeaOrmLog, DieselPostgresLog and TokioPostgresLog have one each"),
    ("LayerTransaction", "the attribute hands what it derefs to to the body"),
    ("DatabaseLayer", "a bound: the trait is sealed"),
    ("DieselMySqlLog", "that of DieselPostgresLog, with the other connection"),
    ("TokioPostgresConnection", "the example of TokioPostgresLog writes through it"),
    ("Testable", "the example of StripeEvent::testable makes one"),
];

#[test]
fn each_public_item_has_an_example_or_a_reason() {
    let mut docs = BTreeMap::new();
    for path in files(&["ferro-idem/src", "ferro-idem-macros/src"], "rs") {
        let file = syn::parse_file(&read(&path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        documented(&file.items, &mut docs);
    }
    let mut broken = Vec::new();
    for name in public_names() {
        let has_example = docs.get(&name).is_some_and(|text| text.contains("```"));
        let has_reason = WITHOUT_EXAMPLE.iter().any(|(excepted, _)| *excepted == name);
        match (has_example, has_reason) {
            (false, false) => broken.push(name),
            (true, true) => broken.push(format!("{name} has an example, and a reason why it has none")),
            _ => {}
        }
    }
    report("give each public item an example, or the reason in WITHOUT_EXAMPLE", &broken);
}

/// What `lib.rs` and its public modules export, by name. A public module with an example shows its items.
fn public_names() -> Vec<String> {
    let mut names = Vec::new();
    let senders = files(&["ferro-idem/src/sender"], "rs").into_iter().filter(|path| is_module(path));
    let modules = ["lib.rs", "conformance/mod.rs"].map(|path| format!("ferro-idem/src/{path}"));
    for path in modules.into_iter().chain(senders) {
        let file = syn::parse_file(&read(&path)).unwrap();
        if !path.ends_with("/lib.rs") && docs_of(&file.attrs).contains("```") {
            continue;
        }
        for item in &file.items {
            match item {
                Item::Use(used) if is_public(&used.vis) && !is_hidden(&used.attrs) => {
                    leaves(&used.tree, &mut names);
                }
                _ => names
                    .extend(public(item).filter(|_| path != "ferro-idem/src/lib.rs").map(|(name, _)| name)),
            }
        }
    }
    // `async_trait` is another crate's. `tests` is the macro that the conformance module's example calls. `stripe` is
    // a module.
    names.retain(|name| !["async_trait", "tests", "stripe"].contains(&name.as_str()));
    names
}

/// Whether a sender's file is a public module: it begins with documentation, and has an event or exports.
fn is_module(path: &str) -> bool {
    let text = read(path);
    path.ends_with("/mod.rs") || text.contains("event_body!(")
}

fn leaves(tree: &UseTree, names: &mut Vec<String>) {
    match tree {
        UseTree::Path(path) => leaves(&path.tree, names),
        UseTree::Name(name) => names.push(name.ident.to_string()),
        UseTree::Rename(renamed) => names.push(renamed.rename.to_string()),
        UseTree::Group(group) => group.items.iter().for_each(|tree| leaves(tree, names)),
        UseTree::Glob(_) => {}
    }
}

/// The docs of all public items, modules within a file included. Those of two that share a name are put together.
fn documented(items: &[Item], docs: &mut BTreeMap<String, String>) {
    for item in items {
        if let Item::Mod(module) = item {
            documented(module.content.as_ref().map_or(&[], |(_, items)| items), docs);
        }
        if let Some((name, attributes)) = public(item) {
            let text = docs_of(attributes);
            *docs.entry(name).or_default() += &text;
        }
    }
}

fn docs_of(attributes: &[Attribute]) -> String {
    let docs = attributes.iter().filter(|attribute| attribute.path().is_ident("doc"));
    docs.map(|attribute| attribute.to_token_stream().to_string()).collect()
}

fn public(item: &Item) -> Option<(String, &[Attribute])> {
    let (visibility, name, attributes) = match item {
        Item::Struct(item) => (&item.vis, &item.ident, &item.attrs),
        Item::Enum(item) => (&item.vis, &item.ident, &item.attrs),
        Item::Trait(item) => (&item.vis, &item.ident, &item.attrs),
        Item::Type(item) => (&item.vis, &item.ident, &item.attrs),
        Item::Const(item) => (&item.vis, &item.ident, &item.attrs),
        Item::Fn(item) => (&item.vis, &item.sig.ident, &item.attrs),
        _ => return None,
    };
    (is_public(visibility) && !is_hidden(attributes)).then(|| (name.to_string(), attributes.as_slice()))
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

fn is_hidden(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("doc") && attribute.to_token_stream().to_string().contains("hidden")
    })
}
