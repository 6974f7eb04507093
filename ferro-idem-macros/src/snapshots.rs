//! Tests that each `expansions/NAME.in.rs` expands to `expansions/NAME.out.rs`, and with the feature `tracing` to
//! `NAME.traced.rs`.
//!
//! `BLESS=1 cargo test -p ferro-idem-macros` rewrites the outputs. Read the diff.

use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Meta};

use crate::stages::Features;

/// An item under `#[idempotent_webhook(..)]`, as tokens, because any item is allowed.
struct Case {
    args: TokenStream,
    item: TokenStream,
}

impl Parse for Case {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut attributes = Attribute::parse_outer(input)?;
        let place = attributes
            .iter()
            .position(|attribute| attribute.path().is_ident("idempotent_webhook"))
            .ok_or_else(|| input.error("no #[idempotent_webhook]"))?;
        let args = match attributes.remove(place).meta {
            Meta::List(list) => list.tokens,
            _ => TokenStream::new(),
        };
        let mut item = TokenStream::new();
        for attribute in &attributes {
            attribute.to_tokens(&mut item);
        }
        item.extend(input.parse::<TokenStream>()?);
        Ok(Self { args, item })
    }
}

fn expand(source: &str, traced: bool) -> TokenStream {
    let Case { args, item } = syn::parse_str(source).expect("a case is an attribute and an item");
    crate::stages::idempotent_webhook(args, &item, Features { tracing: traced, replay: true })
}

/// Formats the expansion if syn can parse it. Otherwise prints its tokens.
fn readable(tokens: &TokenStream) -> String {
    match syn::parse2(tokens.clone()) {
        Ok(file) => prettyplease::unparse(&file),
        Err(_) => format!("{tokens}\n"),
    }
}

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("expansions");
    let mut cases: Vec<PathBuf> = fs::read_dir(folder)
        .expect("the folder of expansions")
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.to_string_lossy().ends_with(".in.rs"))
        .collect();
    cases.sort();
    assert!(!cases.is_empty());
    cases
}

#[test]
fn each_case_expands_as_recorded() {
    let mut wrong = Vec::new();
    for case in cases() {
        let source = fs::read_to_string(&case).unwrap();
        for (traced, ending) in [(false, ".out.rs"), (true, ".traced.rs")] {
            let expansion = readable(&expand(&source, traced));
            let name = case.file_name().unwrap().to_string_lossy().replace(".in.rs", ending);
            let expected = case.with_file_name(name);
            if std::env::var_os("BLESS").is_some() {
                fs::write(&expected, &expansion).unwrap();
            } else if fs::read_to_string(&expected).unwrap_or_default() != expansion {
                wrong.push(format!("{} is now:\n{expansion}", expected.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Row 32 of the checklist.
#[test]
fn the_same_input_expands_to_the_same_tokens() {
    for case in cases() {
        let source = fs::read_to_string(&case).unwrap();
        let first = expand(&source, true).to_string();
        for _ in 0..10 {
            assert_eq!(expand(&source, true).to_string(), first, "{}", case.display());
        }
    }
}
