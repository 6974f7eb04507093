//! The attribute over tokens of `proc_macro2`, which exist outside of a compiler too.

use proc_macro2::TokenStream;
use quote::quote;

use crate::errors::Found;
use crate::{args, expand, handler, validate};

/// On a mistake the item stays as it was written, so that its callers still find it and an editor
/// still completes in it; the errors, all of them, come after it. That its parameters are unused
/// then is no news.
pub(crate) fn idempotent_webhook(args: TokenStream, item: &TokenStream) -> TokenStream {
    let mut found = Found::default();
    let handler = found.take(handler::parse(item.clone()));
    let args = match &handler {
        Some(handler) => handler.in_body(args),
        None => args,
    };
    let args = args::parse(args, &mut found);
    let protection = validate::validate(args, handler.as_ref(), &mut found);
    match (handler, protection, found.errors()) {
        (Some(handler), Some(protection), None) => expand::expand(handler, protection),
        (_, _, errors) => quote!(#[allow(unused_variables)] #item #errors),
    }
}
