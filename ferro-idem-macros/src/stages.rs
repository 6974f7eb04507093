//! The attribute as a function of `proc_macro2` tokens, which also work outside the compiler.

use proc_macro2::TokenStream;
use quote::quote;

use crate::errors::Found;
use crate::{args, expand, handler, validate};

/// On a mistake the item is emitted unchanged, so that its callers still find it and an editor still
/// completes in it. All errors come after it. Warnings about its unused parameters are suppressed.
///
/// If it is `traced`, the body's reply is told to `tracing` under each guarantee.
pub(crate) fn idempotent_webhook(args: TokenStream, item: &TokenStream, traced: bool) -> TokenStream {
    let mut found = Found::default();
    let handler = found.take(handler::parse(item.clone()));
    let args = match &handler {
        Some(handler) => handler.in_body(args),
        None => args,
    };
    let written = args.clone();
    let args = args::parse(args, &mut found);
    let protection = validate::validate(args, handler.as_ref(), &mut found);
    match (handler, protection, found.errors()) {
        (Some(handler), Some(protection), None) => {
            let traced = traced.then_some(&written);
            expand::expand(handler, protection, traced)
        }
        (_, _, errors) => quote!(#[allow(unused_variables)] #item #errors),
    }
}
