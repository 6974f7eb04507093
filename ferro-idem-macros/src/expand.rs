//! The check in front of the body.
//!
//! ```text
//! async fn on_event<L: ProcessedEventLog>(log: &L, event: StripeEvent) -> Result<(), AppError> {
//!     {
//!         let event = &event;
//!         let checked = ::ferro_idem::__private::fence(&log, ::ferro_idem::__private::event(event)).await;
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
//! - A `let` for each step: what the event's expression locks is free again before the log is asked,
//!   what the log's locks before `on_duplicate` runs.
//! - Names and paths are hygienic (`mixed_site`) and located at the user's tokens, where a type
//!   error has to point.

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Expr, ExprReference, Path, ReturnType, Token};

use crate::handler::{Form, Handler};
use crate::validate::{Fence, Key};

pub(crate) fn expand(handler: Handler, fence: Fence) -> TokenStream {
    let Fence { krate, log, key, scope, on_duplicate, on_error } = fence;
    let runtime = Runtime(krate);
    let here = Span::mixed_site();

    let ReadKey { read, key } = read_key(&runtime, key, scope);
    let ask = runtime.call("fence", log.span());
    let log = borrowed(log);
    let reply_site = reply_span(&handler);
    let answer_duplicate = match on_duplicate {
        Some(reply) if diverges(&reply) => reply.into_token_stream(),
        Some(reply) => {
            let reply = value(reply);
            quote_spanned!(here=> return #reply)
        }
        None => {
            let duplicate_reply = runtime.call("duplicate_reply", reply_site);
            quote_spanned!(hygienic_at(reply_site)=> return #duplicate_reply())
        }
    };
    let error_reply = if let Some(reply) = on_error {
        let error_reply_by = runtime.call("error_reply_by", reply.span());
        let reply = value(reply);
        quote_spanned!(here=> #error_reply_by(#reply, error))
    } else {
        let error_reply = runtime.call("error_reply", reply_site);
        quote_spanned!(hygienic_at(reply_site)=> #error_reply(error))
    };
    let verdict = runtime.call("Checked", here);

    let statement = quote_spanned! {here=>
        {
            #read
            let checked = #ask(#log, #key).await;
            match checked {
                #verdict::First => {}
                #verdict::Duplicate => #answer_duplicate,
                #verdict::Failed(error) => return #error_reply,
            }
        }
    };
    let statement = match handler.form {
        Form::AsyncFn => statement,
        Form::AsyncTrait => with_renamed_self(statement),
    };
    handler.with_statement(&statement)
}

/// The runtime crate, by the path that the user's crate knows it by.
struct Runtime(Path);

impl Runtime {
    /// `::ferro_idem::__private::NAME`, located at `span`: what is wrong with the call is reported
    /// there.
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

/// Statements that borrow the event, and the key as an expression.
struct ReadKey {
    read: TokenStream,
    key: TokenStream,
}

fn read_key(runtime: &Runtime, key: Key, scope: Option<String>) -> ReadKey {
    let here = Span::mixed_site();
    let (function, written) = match key {
        Key::Event(event) => ("event", event),
        Key::EventId(id) => ("event_id", id),
    };
    let function = runtime.call(function, written.span());
    let event = Ident::new("event", hygienic_at(written.span()));
    let written = borrowed(written);
    let read = quote_spanned!(here=> let #event = #written;);
    let key = quote_spanned!(here=> #function(#event));
    let Some(scope) = scope else {
        return ReadKey { read, key };
    };
    let (scoped, string) = (runtime.call("scoped", here), runtime.call("String", here));
    ReadKey {
        read: quote_spanned!(here=> #read let buffer = &mut #string::new();),
        key: quote_spanned!(here=> #scoped(#scope, #key, buffer)),
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

/// `&EXPR`, with parentheses where it needs them. The `&` counts as the user's, so that an error
/// points at all of the expression and not at its first token.
fn borrowed(expr: Expr) -> TokenStream {
    let and_token = Token![&](expr.span());
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

/// `return` in front of these would be unreachable code.
fn diverges(expr: &Expr) -> bool {
    match expr {
        Expr::Return(_) => true,
        Expr::Macro(call) => {
            ["panic", "todo", "unimplemented", "unreachable"].iter().any(|name| call.mac.path.is_ident(name))
        }
        _ => false,
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
