//! Generates the key and the log, with which the guarantee is called.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::spanned::Spanned;
use syn::{Expr, ExprReference, Token, UnOp};

use super::{Runtime, hygienic_at, value};
use crate::validate::{Key, Scope};

/// Statements and expressions, in the order in which the handler evaluates them.
pub(super) struct Delivery {
    /// Returns if the delivery is not for this handler.
    pub(super) filter: TokenStream,
    /// Binds `__ferro_idem_key`. A lock that its expression takes is released after the statement.
    pub(super) key: TokenStream,
    /// The log by reference. Its expression may hold a lock until the statement ends.
    pub(super) log: TokenStream,
    /// Binds `__ferro_idem_log`, if the log is not a place expression. A lock that its expression takes is
    /// released after the statement, unless the log itself is inside the lock.
    pub(super) bind_log: TokenStream,
    /// The log after `bind_log`.
    pub(super) bound_log: TokenStream,
    /// The span of the log's expression.
    pub(super) log_span: Span,
}

impl Delivery {
    pub(super) fn new(
        runtime: &Runtime,
        only_if: Option<Expr>,
        ignored: &TokenStream,
        key: Key,
        scope: Option<Scope>,
        log: Expr,
    ) -> Self {
        let log_span = log.span();
        let is_place = is_place(&log);
        let log = borrowed(log);
        let (bind_log, bound_log) = if is_place {
            (TokenStream::new(), log.clone())
        } else {
            let name = Ident::new("__ferro_idem_log", hygienic_at(log_span));
            (quote_spanned!(Span::mixed_site()=> let #name = #log;), name.into_token_stream())
        };
        Self {
            filter: filter(runtime, only_if, ignored),
            key: key_statements(runtime, key, scope),
            log,
            bind_log,
            bound_log,
            log_span,
        }
    }
}

fn filter(runtime: &Runtime, only_if: Option<Expr>, ignored: &TokenStream) -> TokenStream {
    let Some(only_if) = only_if else { return TokenStream::new() };
    let bool = runtime.call("bool", Span::mixed_site());
    let only_if = value(only_if);
    quote_spanned! {Span::mixed_site()=>
        let __ferro_idem_is_for_this_handler: #bool = #only_if;
        if !__ferro_idem_is_for_this_handler {
            #ignored
        }
    }
}

fn key_statements(runtime: &Runtime, key: Key, scope: Option<Scope>) -> TokenStream {
    let here = Span::mixed_site();
    let (Key::Event(written) | Key::EventId(written)) = &key;
    let is_place = is_place(written);
    let is_id = matches!(key, Key::EventId(_));
    let key = match key {
        Key::Event(event) => {
            let function = runtime.call("event", event.span());
            let event = borrowed(without_reference(event));
            quote_spanned!(here=> #function(#event))
        }
        Key::EventId(id) => {
            let probe = runtime.call("IdProbe", here);
            let key = Ident::new("__ferro_idem_key", hygienic_at(id.span()));
            let id = borrowed(without_reference(id));
            quote_spanned!(here=> (&&&&&&#probe(#id)).#key())
        }
    };
    let ids = runtime.call("ids", here);
    let mut statements = if is_place {
        quote_spanned!(here=> let __ferro_idem_key = #key;)
    } else {
        let (owned, owned_key) = (runtime.call("owned", here), runtime.call("OwnedKey", here));
        quote_spanned! {here=>
            let __ferro_idem_key = #owned(#key);
            let __ferro_idem_key = #owned_key::key(&__ferro_idem_key);
        }
    };
    if is_id {
        statements = quote_spanned!(here=> use #ids::*; #statements);
    }
    match scope {
        None => {}
        Some(Scope::Constant(scope)) => {
            let (scoped, string) = (runtime.call("scoped", here), runtime.call("String", here));
            statements.extend(quote_spanned! {here=>
                let mut __ferro_idem_buffer = #string::new();
                let __ferro_idem_key = #scoped(#scope, __ferro_idem_key, &mut __ferro_idem_buffer);
            });
        }
        Some(Scope::Of(scope)) => {
            let (scoped, traits) = (runtime.call("scoped_by", here), runtime.call("scopes", here));
            let probe = runtime.call("ScopeProbe", here);
            let text = Ident::new("__ferro_idem_scope", hygienic_at(scope.span()));
            let scope = borrowed(without_reference(scope));
            statements = quote_spanned! {here=> use #traits::*; #statements };
            statements.extend(quote_spanned! {here=>
                let mut __ferro_idem_buffer = (&&&#probe(#scope)).#text();
                let __ferro_idem_key = #scoped(__ferro_idem_key, &mut __ferro_idem_buffer);
            });
        }
    }
    statements
}

/// `app.log`, `&event.id`, `(*event).id`: these create no temporary, so they hold no lock.
fn is_place(written: &Expr) -> bool {
    match written {
        Expr::Path(_) => true,
        Expr::Field(field) => is_place(&field.base),
        Expr::Group(group) => is_place(&group.expr),
        Expr::Paren(paren) => is_place(&paren.expr),
        Expr::Reference(reference) => is_place(&reference.expr),
        Expr::Unary(unary) => matches!(unary.op, UnOp::Deref(_)) && is_place(&unary.expr),
        _ => false,
    }
}

/// `&event.id` lives until its statement ends, `event.id` as long as the event.
pub(super) fn without_reference(written: Expr) -> Expr {
    match written {
        Expr::Reference(ExprReference { mutability: None, expr, .. }) => without_reference(*expr),
        Expr::Group(group) => without_reference(*group.expr),
        Expr::Paren(paren) => without_reference(*paren.expr),
        written => written,
    }
}

/// `&EXPR`, with parentheses if they are needed. The `&` has the user's span, so that an error points at the
/// whole expression and not only at its first token.
pub(super) fn borrowed(expr: Expr) -> TokenStream {
    let and_token = Token![&](expr.span());
    ExprReference { attrs: Vec::new(), and_token, mutability: None, expr: Box::new(expr) }.into_token_stream()
}

#[cfg(test)]
mod tests {
    use quote::quote;
    use syn::parse_quote;

    use super::*;

    #[test]
    fn only_places_are_borrowed() {
        for (written, expected) in [
            (quote!(event), true),
            (quote!(event.id), true),
            (quote!((*event).0.id), true),
            (quote!(&event.id), true),
            (quote!(EVENT), true),
            (quote!(event.id()), false),
            (quote!(session.lock().await.id), false),
            (quote!(&session.lock().await.id), false),
            (quote!(id(&event)), false),
            (quote!(event?), false),
            (quote!(events[0]), false),
            (quote!(-id), false),
            (quote!(format!("{event}")), false),
            (quote!({ event }), false),
        ] {
            assert_eq!(is_place(&parse_quote!(#written)), expected, "{written}");
        }
    }
}
