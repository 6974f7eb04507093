//! Generates the code around the body.
//!
//! - `fence` puts a block before the body, in the unchanged function.
//! - `settling` (claim and transaction) wraps the body, because it settles after the body.
//!
//! All logic is in `ferro_idem::__private`. Names and paths are hygienic (`mixed_site`) and have the span of
//! the user's tokens, to which a type error has to point. This hygiene does not distinguish a binding from a
//! constant, a static or a unit variant of the same name, and method lookup has no hygiene at all. Therefore
//! bindings begin with `__ferro_idem_`, and calls are written as paths.

mod delivery;
mod fence;
mod lease;
mod replay;
mod reply;
mod settling;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Expr, Path, ReturnType};

use self::delivery::Delivery;
use self::replay::Replaying;
use self::reply::Replies;
use self::settling::Settling;
use crate::handler::Handler;
use crate::validate::{Guarantee, Protection};

/// `traced` are the attribute's arguments, if replies are told to `tracing`.
pub(crate) fn expand(
    mut handler: Handler,
    protection: Protection,
    traced: Option<&TokenStream>,
) -> TokenStream {
    let Protection {
        guarantee,
        krate,
        log,
        key,
        scope,
        only_if,
        on_duplicate,
        on_ignored,
        on_error,
        processed,
        replay,
    } = protection;
    let runtime = &Runtime(krate);
    let return_span = return_span(&handler);
    let is_duplicate_written = on_duplicate.is_some();
    let replies = Replies::new(runtime, return_span, on_duplicate, on_ignored, on_error);
    let replay = replay.map(|written| Replaying::new(runtime, written, is_duplicate_written));
    // The log is kept beside the body, so it is cloned and not borrowed.
    let log = if replay.is_some() { delivery::without_reference(log) } else { log };
    let delivery = Delivery::new(runtime, only_if, &replies.ignored, key, scope, log);
    let return_type = handler.return_type();
    let site = site(runtime, &handler);
    let parameters = match (&guarantee, traced) {
        (Guarantee::Fence, Some(args)) => Some(handler.move_parameters(args)),
        _ => None,
    };
    let is_traced = traced.is_some();
    handler.with_body(|body| {
        let settling = |delivery, replies| Settling {
            runtime,
            delivery,
            replies,
            return_type,
            return_span,
            processed,
            site,
            is_traced,
            replay,
        };
        match guarantee {
            Guarantee::Fence => match parameters {
                None => fence::expand(&settling(delivery, replies), &body),
                Some(parameters) => fence::traced(&settling(delivery, replies), &parameters, body),
            },
            Guarantee::Claim { binding, lease } => {
                settling::claim(settling(delivery, replies), binding.as_ref(), lease, &body)
            }
            Guarantee::Transaction { binding } => {
                settling::transaction(settling(delivery, replies), &binding, &body)
            }
        }
    })
}

/// The path of the runtime crate in the user's crate.
struct Runtime(Path);

impl Runtime {
    /// `::ferro_idem::__private::NAME` with the span `span`, where an error about the call is reported.
    fn call(&self, name: &str, span: Span) -> TokenStream {
        let krate = &self.0;
        let name = Ident::new(name, Span::mixed_site());
        let path = quote!(#krate::__private::#name);
        path.into_iter()
            .map(|mut token| {
                token.set_span(token.span().located_at(span));
                token
            })
            .collect()
    }
}

/// `&Site { name: "shop::ship", line: 7 }`: the handler in errors and in the log.
fn site(runtime: &Runtime, handler: &Handler) -> TokenStream {
    let here = Span::mixed_site();
    let site = runtime.call("Site", here);
    let name = format!("::{}", handler.signature.ident.unraw());
    quote_spanned! {here=>
        &#site { name: ::core::concat!(::core::module_path!(), #name), line: ::core::line!() }
    }
}

/// A span with the macro's hygiene and the location of the user's token.
fn hygienic_at(span: Span) -> Span {
    Span::mixed_site().located_at(span)
}

/// The span of the return type, where a missing reply is reported.
fn return_span(handler: &Handler) -> Span {
    match &handler.signature.output {
        ReturnType::Type(_, ty) => ty.span(),
        ReturnType::Default => handler.signature.ident.span(),
    }
}

/// Removes the braces of a block. After `return` or as an argument, rustc would report them as unused.
fn value(expr: Expr) -> TokenStream {
    match expr {
        Expr::Block(block) => quote_spanned!(Span::mixed_site()=> match () { () => #block }),
        expr => expr.into_token_stream(),
    }
}
