//! Whatever is written in the attribute and under it, the function is emitted. If it is not protected, the
//! reasons are emitted as well.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::quote;
use syn::{File, ImplItemFn, Item};

use crate::stages::{Features, idempotent_webhook};
use crate::written::arguments_and_item;

const FEATURES: Features = Features { tracing: false, replay: true };

/// The input is the attribute's arguments and, from the second line on, the item: see `written.rs`.
///
/// # Panics
///
/// If the function, its body or a reason is lost.
pub fn check(input: &[u8]) {
    let Some((arguments, item)) = arguments_and_item(input) else { return };
    let output = idempotent_webhook(arguments.clone(), &item, FEATURES);
    let shown = |output: &TokenStream| format!("#[idempotent_webhook({arguments})] {item}\nbecame\n{output}");

    let kept = leaves(quote!(#[allow(unused_variables)] #item));
    let now = leaves(output.clone());
    if now.starts_with(&kept) {
        let behind = quote!(#[allow(unused_variables)] #item).into_iter().count();
        assert!(are_reasons(output.clone().into_iter().skip(behind).collect()), "{}", shown(&output));
    } else {
        assert!(is_protected(&item, &output), "{}", shown(&output));
    }
    // This check takes half of the time, so only some inputs get it.
    if input.len().is_multiple_of(8) {
        assert_eq!(now, leaves(idempotent_webhook(arguments.clone(), &item, FEATURES)), "{}", shown(&output));
    }
}

/// One `compile_error!` or more, each with a text.
fn are_reasons(errors: TokenStream) -> bool {
    let says_something = |item: &Item| match item {
        Item::Macro(call) => {
            let message = call.mac.parse_body::<syn::LitStr>();
            let name = call.mac.path.segments.last().map(|segment| segment.ident.to_string());
            name.as_deref() == Some("compile_error")
                && message.is_ok_and(|message| !message.value().is_empty())
        }
        _ => false,
    };
    syn::parse2::<File>(errors)
        .is_ok_and(|errors| !errors.items.is_empty() && errors.items.iter().all(says_something))
}

/// The function as it was written, with a body that holds all of its own, in order; a function to the
/// compiler if it was one.
fn is_protected(item: &TokenStream, output: &TokenStream) -> bool {
    let ((head, body), (head_now, body_now)) = (in_two(item.clone()), in_two(output.clone()));
    let mut body_now = body_now.into_iter();
    head == head_now
        && body.iter().all(|token| body_now.any(|token_now| token_now == *token))
        && (syn::parse2::<ImplItemFn>(output.clone()).is_ok()
            || syn::parse2::<ImplItemFn>(item.clone()).is_err())
}

/// What is before the body, and the body.
fn in_two(function: TokenStream) -> (Vec<Leaf>, Vec<Leaf>) {
    let mut tokens: Vec<TokenTree> = function.into_iter().collect();
    let body = tokens.pop();
    (leaves(tokens.into_iter().collect()), leaves(body.into_iter().collect()))
}

/// A token, or a bracket.
#[derive(Debug, PartialEq)]
enum Leaf {
    Ident(proc_macro2::Ident),
    Punct(char),
    Literal(String),
    Open(Delimiter),
    Close(Delimiter),
}

fn leaves(tokens: TokenStream) -> Vec<Leaf> {
    let mut leaves = Vec::new();
    collect_leaves(tokens, &mut leaves);
    leaves
}

fn collect_leaves(tokens: TokenStream, leaves: &mut Vec<Leaf>) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                leaves.push(Leaf::Open(group.delimiter()));
                collect_leaves(group.stream(), leaves);
                leaves.push(Leaf::Close(group.delimiter()));
            }
            TokenTree::Ident(ident) => leaves.push(Leaf::Ident(ident)),
            TokenTree::Punct(punct) => leaves.push(Leaf::Punct(punct.as_char())),
            TokenTree::Literal(literal) => leaves.push(Leaf::Literal(literal.to_string())),
        }
    }
}
