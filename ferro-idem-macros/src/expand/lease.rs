//! Generates the duration of `lease = EXPR` and `keep = EXPR`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote_spanned;
use syn::spanned::Spanned;
use syn::{Expr, ExprCall, ExprPath, Lit};

use super::{Runtime, value};

/// The value of `__ferro_idem_lease`. A constant lease is checked at compile time.
pub(super) fn lease(runtime: &Runtime, written: Option<Expr>) -> TokenStream {
    duration(runtime, written, "DEFAULT_LEASE", "checked_lease", "__FERRO_IDEM_LEASE")
}

/// A duration that `checked`, a `const fn`, checks at compile time if it is constant.
pub(super) fn duration(
    runtime: &Runtime,
    written: Option<Expr>,
    default: &str,
    checked: &str,
    item: &str,
) -> TokenStream {
    match written {
        None => runtime.call(default, Span::mixed_site()),
        Some(written) if is_constant(&written) => {
            let checked = runtime.call(checked, written.span());
            let here = Span::mixed_site();
            if may_name_a_parameter(&written) {
                quote_spanned!(here=> const { #checked(#written) })
            } else {
                // `cargo check` evaluates an item. It evaluates a `const` block only if code is generated for
                // it.
                let item = Ident::new(item, here);
                quote_spanned! {here=>
                    {
                        const #item: ::core::time::Duration = #checked(#written);
                        #item
                    }
                }
            }
        }
        Some(written) => value(written),
    }
}

/// Whether the expression is surely a constant, such as `Duration::from_secs(120)` or `LEASE`. Other
/// expressions are checked at run time.
fn is_constant(lease: &Expr) -> bool {
    let last = |path: &ExprPath| path.path.segments.last().map(|segment| segment.ident.to_string());
    match lease {
        Expr::Path(path) => last(path)
            .is_some_and(|name| name.len() > 1 && !name.contains(|letter: char| letter.is_lowercase())),
        Expr::Call(ExprCall { func, args, .. }) => {
            const CONSTRUCTORS: &[&str] =
                &["from_nanos", "from_micros", "from_millis", "from_secs", "from_mins", "from_hours"];
            let is_constructor = matches!(
                &**func,
                Expr::Path(path) if last(path).is_some_and(|name| CONSTRUCTORS.contains(&name.as_str()))
            );
            let is_number =
                |arg: &Expr| matches!(arg, Expr::Lit(literal) if matches!(literal.lit, Lit::Int(_)));
            is_constructor && args.iter().all(is_number)
        }
        Expr::Group(group) => is_constant(&group.expr),
        Expr::Paren(paren) => is_constant(&paren.expr),
        _ => false,
    }
}

/// `Self::LEASE`, `L::LEASE`: an item cannot name the parameters of the function around it.
fn may_name_a_parameter(lease: &Expr) -> bool {
    match lease {
        Expr::Path(ExprPath { qself: Some(_), .. }) => true,
        Expr::Path(ExprPath { path, .. }) => path.segments.iter().rev().nth(1).is_some_and(|owner| {
            owner.ident != "Duration" && owner.ident.to_string().starts_with(char::is_uppercase)
        }),
        Expr::Group(group) => may_name_a_parameter(&group.expr),
        Expr::Paren(paren) => may_name_a_parameter(&paren.expr),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proc_macro2::{Delimiter, Group};
    use quote::quote;

    use super::*;

    fn lease(written: &TokenStream) -> Expr {
        syn::parse2(written.clone()).unwrap()
    }

    /// Removes parentheses, and the invisible group that a `macro_rules!` puts around an expression.
    fn wrapped(written: &TokenStream) -> [TokenStream; 3] {
        let invisible = Group::new(Delimiter::None, written.clone());
        [written.clone(), quote!((#written)), quote!(#invisible)]
    }

    #[test]
    fn what_is_surely_a_constant_is_checked_at_compile_time() {
        for (written, constant) in [
            (quote!(LEASE), true),
            (quote!(LEASE_2), true),
            (quote!(Self::LEASE), true),
            (quote!(Duration::ZERO), true),
            (quote!(Duration::from_secs(120)), true),
            (quote!(std::time::Duration::from_millis(500)), true),
            (quote!(lease), false),
            (quote!(L), false),
            (quote!(Lease), false),
            (quote!(app.lease), false),
            (quote!(Duration::from_secs(seconds)), false),
            (quote!(Duration::from_secs("120")), false),
            (quote!(Duration::from_secs_f64(0.5)), false),
            (quote!(lease(120)), false),
            (quote!((app.from_secs)(120)), false),
        ] {
            for written in wrapped(&written) {
                assert_eq!(is_constant(&lease(&written)), constant, "{written}");
            }
        }
    }

    #[test]
    fn a_constant_of_a_type_may_be_that_of_a_parameter() {
        for (written, may) in [
            (quote!(Self::LEASE), true),
            (quote!(L::LEASE), true),
            (quote!(<L as Lease>::LEASE), true),
            (quote!(<L>::LEASE), true),
            (quote!(leases::L::LEASE), true),
            (quote!(LEASE), false),
            (quote!(leases::LEASE), false),
            (quote!(Duration::MAX), false),
            (quote!(Duration::from_secs(120)), false),
        ] {
            for written in wrapped(&written) {
                assert_eq!(may_name_a_parameter(&lease(&written)), may, "{written}");
            }
        }
    }

    #[test]
    fn each_kind_of_lease_is_written_in_its_place() {
        let expanded = |written: Option<TokenStream>| {
            let runtime = Runtime(syn::parse_quote!(::ferro_idem));
            super::lease(&runtime, written.as_ref().map(lease)).to_string()
        };
        let checked = quote!(::ferro_idem::__private::checked_lease);
        for (written, expected) in [
            (None, quote!(::ferro_idem::__private::DEFAULT_LEASE)),
            (Some(quote!(app.lease)), quote!(app.lease)),
            (Some(quote!(Self::LEASE)), quote!(const { #checked(Self::LEASE) })),
            (
                Some(quote!(LEASE)),
                quote!({
                    const __FERRO_IDEM_LEASE: ::core::time::Duration = #checked(LEASE);
                    __FERRO_IDEM_LEASE
                }),
            ),
        ] {
            assert_eq!(expanded(written), expected.to_string());
        }
    }
}
