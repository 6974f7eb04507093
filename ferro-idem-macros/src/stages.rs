//! The attribute as a function of `proc_macro2` tokens, which also work outside the compiler.

use proc_macro2::TokenStream;
use quote::quote;

use crate::errors::{Found, error_at};
use crate::{args, expand, handler, validate};

/// The features that the attribute knows.
#[derive(Clone, Copy)]
pub(crate) struct Features {
    /// The body's reply is told to `tracing` under each guarantee.
    pub(crate) tracing: bool,
    /// There is something to call for `replay`.
    pub(crate) replay: bool,
}

/// On a mistake the item is emitted unchanged, so that its callers still find it and an editor still
/// completes in it. All errors come after it. Warnings about its unused parameters are suppressed.
///
/// The features of `ferro-idem` decide what is generated.
pub(crate) fn idempotent_webhook(args: TokenStream, item: &TokenStream, features: Features) -> TokenStream {
    let mut found = Found::default();
    let handler = found.take(handler::parse(item.clone()));
    let args = match &handler {
        Some(handler) => handler.in_body(args),
        None => args,
    };
    let written = args.clone();
    let args = args::parse(args, &mut found);
    if let (Some(keyword), false) = (&args.replay, features.replay) {
        found.push(error_at(
            keyword,
            "`replay` needs the feature of this name: `ferro-idem = { features = [\"replay\"] }` in Cargo.toml",
        ));
    }
    let protection = validate::validate(args, handler.as_ref(), &mut found);
    match (handler, protection, found.errors()) {
        (Some(handler), Some(protection), None) => {
            let traced = features.tracing.then_some(&written);
            expand::expand(handler, protection, traced)
        }
        (_, _, errors) => quote!(#[allow(unused_variables)] #item #errors),
    }
}
