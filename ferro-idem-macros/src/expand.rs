//! The check in front of the body.
//!
//! ```ignore
//! async fn on_event<L: ProcessedEventLog>(log: &L, event: StripeEvent) -> Result<(), AppError> {
//!     {
//!         let checked = ::ferro_idem::__private::fence(&log, ::ferro_idem::__private::event(&event)).await;
//!         match checked {
//!             ::ferro_idem::__private::Checked::First => {}
//!             ::ferro_idem::__private::Checked::Duplicate => return ::ferro_idem::__private::duplicate_reply(),
//!             ::ferro_idem::__private::Checked::Failed(error) => return ::ferro_idem::__private::error_reply(error),
//!         }
//!     }
//!     /* the body, untouched */
//! }
//! ```
//!
//! - A statement of its own, so nothing of the check is alive in the body: drop order, borrows and
//!   the future's size are those of the plain function.
//! - `let` before `match`: what the user's expressions borrow is free again before
//!   `on_duplicate` runs.
//! - Names and paths are hygienic (`mixed_site`) and located at the user's tokens, where a type
//!   error has to point.

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Expr, ExprReference, ReturnType, Token};

use crate::handler::{Form, Handler};
use crate::validate::{Fence, Key};

pub(crate) fn expand(handler: Handler, fence: Fence) -> TokenStream {
    let Fence { krate, log, key, scope, on_duplicate, on_error } = fence;
    let here = Span::mixed_site();
    let private = quote!(#krate::__private);

    let key = key_expression(&private, key, scope);
    let log_site = hygienic_at(log.span());
    let log = borrowed(log);
    let checked = quote_spanned!(log_site=> #private::fence(#log, #key).await);

    let reply_site = hygienic_at(reply_span(&handler));
    let duplicate_reply = match on_duplicate {
        Some(reply) => value(reply),
        None => quote_spanned!(reply_site=> #private::duplicate_reply()),
    };
    let error_reply = match on_error {
        Some(reply) => {
            let reply = value(reply);
            quote_spanned!(here=> #private::error_reply_by(#reply, error))
        }
        None => quote_spanned!(reply_site=> #private::error_reply(error)),
    };

    let statement = quote_spanned! {here=>
        {
            let checked = #checked;
            match checked {
                #private::Checked::First => {}
                #private::Checked::Duplicate => return #duplicate_reply,
                #private::Checked::Failed(error) => return #error_reply,
            }
        }
    };
    let statement = match handler.form {
        Form::AsyncFn => statement,
        Form::AsyncTrait => with_renamed_self(statement),
    };
    handler.with_statement(&statement)
}

fn key_expression(private: &TokenStream, key: Key, scope: Option<String>) -> TokenStream {
    let (function, written) = match key {
        Key::Event(event) => ("event", event),
        Key::EventId(id) => ("event_id", id),
    };
    let site = hygienic_at(written.span());
    let function = Ident::new(function, site);
    let written = borrowed(written);
    let key = quote_spanned!(site=> #private::#function(#written));
    match scope {
        Some(scope) => quote_spanned!(site=> #private::scoped(#scope, #key, &mut #private::String::new())),
        None => key,
    }
}

/// Hygiene of the macro, place of the user's token.
fn hygienic_at(span: Span) -> Span {
    Span::mixed_site().located_at(span)
}

/// The return type, where a reply that it cannot give is to be reported.
fn reply_span(handler: &Handler) -> Span {
    match &handler.signature.output {
        ReturnType::Type(_, ty) => ty.span(),
        ReturnType::Default => handler.signature.ident.span(),
    }
}

/// `&EXPR`, with parentheses where it needs them.
fn borrowed(expr: Expr) -> TokenStream {
    let and_token = Token![&](hygienic_at(expr.span()));
    ExprReference { attrs: Vec::new(), and_token, mutability: None, expr: Box::new(expr) }.into_token_stream()
}

/// A block stands in a `match` arm: after `return`, or as an argument, rustc would call its braces
/// unused.
fn value(expr: Expr) -> TokenStream {
    match expr {
        Expr::Block(block) => quote_spanned!(Span::mixed_site()=> match () { () => #block }),
        expr => expr.into_token_stream(),
    }
}

/// `#[async_trait]` renamed `self` to `__self` in the body, and the user's expressions move there.
fn with_renamed_self(tokens: TokenStream) -> TokenStream {
    let rename = |token| match token {
        TokenTree::Ident(ident) if ident == "self" => Ident::new("__self", ident.span()).into(),
        TokenTree::Group(group) => {
            let mut renamed = Group::new(group.delimiter(), with_renamed_self(group.stream()));
            renamed.set_span(group.span());
            renamed.into()
        }
        other => other,
    };
    tokens.into_iter().map(rename).collect()
}
