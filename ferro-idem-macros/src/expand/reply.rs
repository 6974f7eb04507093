//! Generates the replies if the body does not run to its end, and the judgement of its reply.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::spanned::Spanned;
use syn::{Expr, ExprCall, ExprIf, ExprPath, GenericArgument, PathArguments, Stmt, Type, TypePath};

use super::{Runtime, hygienic_at, value};

/// Statements that return from the handler, one per case.
pub(super) struct Replies {
    pub(super) duplicate: TokenStream,
    /// The reply if the delivery is not for this handler.
    pub(super) ignored: TokenStream,
    /// The reply to an error, from `__ferro_idem_error`.
    pub(super) error: TokenStream,
}

impl Replies {
    pub(super) fn new(
        runtime: &Runtime,
        return_type: Span,
        on_duplicate: Option<Expr>,
        on_ignored: Option<Expr>,
        on_error: Option<Expr>,
    ) -> Self {
        let at_return_type = hygienic_at(return_type);
        let duplicate_reply = || {
            let duplicate_reply = runtime.call("duplicate_reply", return_type);
            quote_spanned!(at_return_type=> return #duplicate_reply();)
        };
        let error = if let Some(reply) = on_error {
            let error_reply_by = runtime.call("error_reply_by", reply.span());
            if diverges(&reply) {
                as_written(&reply)
            } else {
                returned(
                    reply,
                    |reply| quote_spanned!(Span::mixed_site()=> #error_reply_by(#reply, __ferro_idem_error)),
                )
            }
        } else {
            let error_reply = runtime.call("error_reply", return_type);
            quote_spanned!(at_return_type=> return #error_reply(__ferro_idem_error);)
        };
        Self {
            duplicate: on_duplicate.map_or_else(duplicate_reply, |reply| returned(reply, |reply| reply)),
            ignored: on_ignored.map_or_else(duplicate_reply, |reply| returned(reply, |reply| reply)),
            error,
        }
    }
}

/// `return EXPR;`. The `return` is unreachable if the expression returns or panics by itself.
fn returned(written: Expr, reply: impl FnOnce(TokenStream) -> TokenStream) -> TokenStream {
    if diverges(&written) {
        return as_written(&written);
    }
    let here = Span::mixed_site();
    let may_diverge = !surely_returns(&written);
    let reply = reply(value(written));
    if may_diverge {
        quote_spanned!(here=> #[allow(unreachable_code, clippy::diverging_sub_expression)] return #reply;)
    } else {
        quote_spanned!(here=> return #reply;)
    }
}

/// An expression that leaves the handler by itself. The `return` that the user wrote has to stay.
fn as_written(written: &Expr) -> TokenStream {
    quote_spanned!(Span::mixed_site()=> #[allow(clippy::needless_return)] { #written; })
}

/// Whether the expression leaves the handler: `return Err(..)`, `panic!(..)`, and blocks that end with one of
/// them.
fn diverges(written: &Expr) -> bool {
    const MACROS: &[&str] = &["bail", "panic", "todo", "unimplemented", "unreachable"];
    match written {
        Expr::Return(_) => true,
        Expr::Macro(call) => {
            call.mac.path.segments.last().is_some_and(|name| MACROS.iter().any(|known| name.ident == known))
        }
        Expr::Block(block) => match block.block.stmts.last() {
            Some(Stmt::Expr(last, _)) => diverges(last),
            _ => false,
        },
        Expr::If(ExprIf { then_branch, else_branch: Some((_, otherwise)), .. }) => {
            let then = then_branch.stmts.last();
            matches!(then, Some(Stmt::Expr(last, _)) if diverges(last)) && diverges(otherwise)
        }
        Expr::Group(group) => diverges(&group.expr),
        Expr::Paren(paren) => diverges(&paren.expr),
        _ => false,
    }
}

/// Whether the expression surely does not leave the handler: `Ok(())`, `StatusCode::OK`, `|error| ..`.
fn surely_returns(written: &Expr) -> bool {
    match written {
        Expr::Lit(_) | Expr::Path(_) | Expr::Closure(_) => true,
        Expr::Tuple(tuple) => tuple.elems.iter().all(surely_returns),
        Expr::Field(field) => surely_returns(&field.base),
        Expr::Group(group) => surely_returns(&group.expr),
        Expr::Paren(paren) => surely_returns(&paren.expr),
        Expr::Call(ExprCall { func, args, .. }) => is_constructor(func) && args.iter().all(surely_returns),
        _ => false,
    }
}

/// `Ok`, `Reply::Duplicate`.
fn is_constructor(func: &Expr) -> bool {
    matches!(func, Expr::Path(ExprPath { path, .. })
        if path.segments.last().is_some_and(|last| last.ident.to_string().starts_with(char::is_uppercase)))
}

/// A closure that returns whether a reply means "processed".
///
/// ```text
/// |reply| {
///     use ::ferro_idem::__private::rules::*;
///     match (&&&&&Probe(reply)).__ferro_idem_shape().held(reply) {
///         Err(decided) => decided,
///         Ok(held) => {
///             let first = (&&Probe(held)).__ferro_idem_first();
///             let status = (&*first).status();
///             let by_status = (&status).is_success();
///             let by_itself = (&*first).is_success();
///             (&&&&&Probe(held)).__ferro_idem_kind().is_processed(
///                 held,
///                 (&&Probe(&by_status)).__ferro_idem_success(),
///                 (&&Probe(&by_itself)).__ferro_idem_success(),
///             )
///         }
///     }
/// }
/// ```
///
/// The bindings have the span of the return type, where an error about the reply is reported.
///
/// For `()` and `Result<(), _>`, which implement `Settle`, it is the trait's method. Each lookup costs time.
pub(super) fn is_processed(
    runtime: &Runtime,
    return_type: &TokenStream,
    site: Span,
    written: Option<Expr>,
) -> TokenStream {
    let here = Span::mixed_site();
    if let Some(written) = written {
        let is_processed_by = runtime.call("is_processed_by", written.span());
        let written = written.into_token_stream();
        return quote_spanned! {here=>
            |__ferro_idem_reply| #is_processed_by(#written, __ferro_idem_reply)
        };
    }
    if syn::parse2(return_type.clone()).is_ok_and(|return_type| is_unit_or_result_of_unit(&return_type)) {
        return runtime.call("is_processed", site);
    }
    let (rules, probe) = (runtime.call("rules", here), runtime.call("Probe", here));
    let (ok, err) = (runtime.call("Ok", here), runtime.call("Err", here));
    let at_return_type = |name| Ident::new(name, hygienic_at(site));
    let (take_off, is_processed) =
        (at_return_type("__ferro_idem_held"), at_return_type("__ferro_idem_is_processed"));
    let (reply, held) = (at_return_type("__ferro_idem_reply"), at_return_type("__ferro_idem_held"));
    quote_spanned! {here=>
        |__ferro_idem_reply| {
            use #rules::*;
            match (&&&&&#probe(__ferro_idem_reply)).__ferro_idem_shape().#take_off(#reply) {
                #err(__ferro_idem_decided) => __ferro_idem_decided,
                #ok(__ferro_idem_held) => {
                    let __ferro_idem_first = (&&#probe(__ferro_idem_held)).__ferro_idem_first();
                    let __ferro_idem_status = (&*__ferro_idem_first).status();
                    let __ferro_idem_by_status = (&__ferro_idem_status).is_success();
                    let __ferro_idem_by_itself = (&*__ferro_idem_first).is_success();
                    (&&&&&#probe(__ferro_idem_held)).__ferro_idem_kind().#is_processed(
                        #held,
                        (&&#probe(&__ferro_idem_by_status)).__ferro_idem_success(),
                        (&&#probe(&__ferro_idem_by_itself)).__ferro_idem_success(),
                    )
                }
            }
        }
    }
}

/// An alias whose name is `Result` may put another error in, but its value is the first argument.
fn is_unit_or_result_of_unit(written: &Type) -> bool {
    match written {
        Type::Tuple(tuple) => tuple.elems.is_empty(),
        Type::Group(group) => is_unit_or_result_of_unit(&group.elem),
        Type::Paren(paren) => is_unit_or_result_of_unit(&paren.elem),
        Type::Path(TypePath { qself: None, path, .. }) => path.segments.last().is_some_and(|last| {
            last.ident == "Result"
                && matches!(&last.arguments, PathArguments::AngleBracketed(arguments)
                    if matches!(arguments.args.first(), Some(GenericArgument::Type(Type::Tuple(value)))
                        if value.elems.is_empty()))
        }),
        _ => false,
    }
}

/// A function that returns what the log is told about a reply which is not a success.
pub(super) fn failure(runtime: &Runtime, is_traced: bool) -> TokenStream {
    let here = Span::mixed_site();
    if !is_traced {
        return runtime.call("untold", here);
    }
    let failure = told_failure(runtime);
    let failures = runtime.call("failures", here);
    quote_spanned!(here=> |__ferro_idem_reply| { use #failures::*; #failure })
}

/// The same for a fence, if the reply is not a success.
pub(super) fn why_not_a_success(runtime: &Runtime) -> TokenStream {
    let here = Span::mixed_site();
    let (failures, probe) = (runtime.call("failures", here), runtime.call("Probe", here));
    let (some, none) = (runtime.call("Some", here), runtime.call("None", here));
    let failure = told_failure(runtime);
    quote_spanned! {here=>
        |__ferro_idem_reply| {
            use #failures::*;
            if (&&&#probe(__ferro_idem_reply)).__ferro_idem_is_success() { #none } else { #some(#failure) }
        }
    }
}

fn told_failure(runtime: &Runtime) -> TokenStream {
    let here = Span::mixed_site();
    let (failure, probe) = (runtime.call("Failure", here), runtime.call("Probe", here));
    quote_spanned! {here=>
        #failure::new(
            (&&&&&#probe(__ferro_idem_reply)).__ferro_idem_error(),
            (&&&&#probe(__ferro_idem_reply)).__ferro_idem_status(),
        )
    }
}

#[cfg(test)]
mod tests {
    use quote::quote;
    use syn::parse_quote;

    use super::*;

    #[test]
    fn a_reply_that_may_diverge_raises_no_unreachable_code() {
        let answered = |reply: Expr| returned(reply, |reply| reply).to_string();
        for reply in [
            quote!(Ok(())),
            quote!(Ok(Reply::Duplicate(3, "x"))),
            quote!(StatusCode::OK),
            quote!((app.reply)),
            quote!(|error| panic!()),
        ] {
            assert_eq!(answered(parse_quote!(#reply)), quote!(return #reply;).to_string());
        }
        for reply in [quote!(never()), quote!(Ok(never())), quote!(app.never())] {
            let expected =
                quote!(#[allow(unreachable_code, clippy::diverging_sub_expression)] return #reply;);
            assert_eq!(answered(parse_quote!(#reply)), expected.to_string());
        }
        for reply in [
            quote!(return Ok(())),
            quote!(panic!("twice")),
            quote!(anyhow::bail!("twice")),
            quote!(if x { return 1 } else { return 2 }),
        ] {
            let expected = quote!(#[allow(clippy::needless_return)] { #reply; });
            assert_eq!(answered(parse_quote!(#reply)), expected.to_string());
        }
    }

    #[test]
    fn only_a_unit_or_a_result_of_it_is_known_to_implement_settle() {
        for (return_type, expected) in [
            (quote!(()), true),
            (quote!(Result<(), Error>), true),
            (quote!(anyhow::Result<()>), true),
            (quote!(::core::result::Result<(), Box<dyn Error>>), true),
            (quote!(Result), false),
            (quote!(Result<u8, ()>), false),
            (quote!(Result<((),), Error>), false),
            (quote!(Result<StatusCode, Error>), false),
            (quote!(Option<()>), false),
            (quote!(<App as Handles>::Result<()>), false),
        ] {
            assert_eq!(is_unit_or_result_of_unit(&parse_quote!(#return_type)), expected, "{return_type}");
        }
    }

    #[test]
    fn on_error_may_return_in_place_of_a_function() {
        for (reply, expected) in [
            (quote!(return Err(1)), true),
            (quote!(panic!("x")), true),
            (quote!(anyhow::bail!("x")), true),
            (
                quote!({
                    log();
                    return 1;
                }),
                true,
            ),
            (quote!(if a { return 1 } else { todo!() }), true),
            (quote!(if a { return 1 } else { f }), false),
            (quote!({ f }), false),
            (quote!(to_reply), false),
            (quote!(|error| return 1), false),
        ] {
            assert_eq!(diverges(&parse_quote!(#reply)), expected, "{reply}");
        }
    }

    /// rustc would report its braces as unused.
    #[test]
    fn a_block_is_not_the_operand_of_return() {
        let answered = returned(parse_quote!({ Ok(()) }), |reply| reply).to_string();
        let expected = quote! {
            #[allow(unreachable_code, clippy::diverging_sub_expression)]
            return match () { () => { Ok(()) } };
        };
        assert_eq!(answered, expected.to_string());
    }
}
