//! What stands around the body.
//!
//! - `fence` puts a check in front of it, in the untouched function.
//! - `settling` (claim and transaction) wraps it, because it settles after it.
//!
//! Everything that is logic is in `ferro_idem::__private`. Names and paths are hygienic
//! (`mixed_site`) and located at the user's tokens, where a type error has to point.

mod fence;
mod lease;
mod settling;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Expr, ExprReference, Path, ReturnType, Token};

use crate::handler::Handler;
use crate::validate::{Guarantee, Key, Protection};

pub(crate) fn expand(handler: Handler, protection: Protection) -> TokenStream {
    let Protection { guarantee, krate, log, key, scope, on_duplicate, on_error } = protection;
    let runtime = Runtime(krate);
    let question = question(&runtime, log, key, scope);
    let replies = replies(&runtime, reply_span(&handler), on_duplicate, on_error);
    let return_type = handler.return_type();
    handler.with_body(|body| match guarantee {
        Guarantee::Fence => fence::expand(&runtime, &question, &replies, &body.stream()),
        Guarantee::Claim { binding, lease } => {
            let lease = lease::lease(&runtime, lease);
            settling::claim(&runtime, &question, &replies, &return_type, binding.as_ref(), &lease, &body)
        }
        Guarantee::Transaction { binding } => {
            settling::transaction(&runtime, &question, &replies, &return_type, &binding, &body)
        }
    })
}

/// What is answered where the body does not run to its end: an arm's expression for a duplicate, and
/// the value that becomes of an `error`.
struct Replies {
    answer_duplicate: TokenStream,
    error_reply: TokenStream,
}

fn replies(runtime: &Runtime, site: Span, on_duplicate: Option<Expr>, on_error: Option<Expr>) -> Replies {
    let here = Span::mixed_site();
    let answer_duplicate = match on_duplicate {
        Some(reply) if diverges(&reply) => reply.into_token_stream(),
        Some(reply) => {
            let reply = value(reply);
            quote_spanned!(here=> return #reply)
        }
        None => {
            let duplicate_reply = runtime.call("duplicate_reply", site);
            quote_spanned!(hygienic_at(site)=> return #duplicate_reply())
        }
    };
    let error_reply = if let Some(reply) = on_error {
        let error_reply_by = runtime.call("error_reply_by", reply.span());
        let reply = value(reply);
        quote_spanned!(here=> #error_reply_by(#reply, error))
    } else {
        let error_reply = runtime.call("error_reply", site);
        quote_spanned!(hygienic_at(site)=> #error_reply(error))
    };
    Replies { answer_duplicate, error_reply }
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

/// What the log is asked, in two steps, so that what the event's expression locks is free again
/// before the log is asked.
struct Question {
    /// Statements that borrow the event.
    read: TokenStream,
    /// The arguments: the log, and the key.
    log: TokenStream,
    key: TokenStream,
    /// Where the log was written.
    site: Span,
}

fn question(runtime: &Runtime, log: Expr, key: Key, scope: Option<String>) -> Question {
    let site = log.span();
    let log = borrowed(log);
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
        return Question { read, log, key, site };
    };
    let (scoped, string) = (runtime.call("scoped", here), runtime.call("String", here));
    Question {
        read: quote_spanned!(here=> #read let buffer = &mut #string::new();),
        log,
        key: quote_spanned!(here=> #scoped(#scope, #key, buffer)),
        site,
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

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    #[test]
    fn a_duplicate_is_answered_by_a_return_unless_it_diverges_by_itself() {
        let answered = |reply: Expr| {
            let runtime = Runtime(parse_quote!(::ferro_idem));
            replies(&runtime, Span::call_site(), Some(reply), None).answer_duplicate.to_string()
        };
        for (reply, answer) in [
            (quote!(return Ok(())), quote!(return Ok(()))),
            (quote!(panic!("twice")), quote!(panic!("twice"))),
            (quote!(todo!()), quote!(todo!())),
            (quote!(unimplemented!()), quote!(unimplemented!())),
            (quote!(unreachable!()), quote!(unreachable!())),
            (quote!(reply!()), quote!(return reply!())),
            (quote!(Ok(())), quote!(return Ok(()))),
            (
                quote!({ Ok(()) }),
                quote!(
                    return match () {
                        () => {
                            Ok(())
                        }
                    }
                ),
            ),
        ] {
            assert_eq!(answered(parse_quote!(#reply)), answer.to_string());
        }
    }
}
