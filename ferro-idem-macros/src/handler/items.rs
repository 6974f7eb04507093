//! Finds the items at the start of a body.

use proc_macro2::{TokenStream, TokenTree};
use syn::parse::{ParseStream, Parser};
use syn::{Item, ItemMacro};

/// The number of tokens at the start that belong to items: `use`, `const`, `fn`, `struct`, ...
pub(super) fn leading_items(tokens: &[TokenTree]) -> usize {
    if !tokens.first().is_some_and(may_begin_item) {
        return 0;
    }
    let mut count = 0;
    let read = |input: ParseStream<'_>| {
        while !input.is_empty() && next_is_item(input) {
            input.parse::<Item>()?;
            let left = input.fork().parse::<TokenStream>()?.into_iter().count();
            count = tokens.len() - left;
        }
        // The rest is the user's code and may not parse.
        input.parse::<TokenStream>().map(drop)
    };
    // Half-typed items stay in the body.
    drop(read.parse2(tokens.iter().cloned().collect()));
    count
}

fn may_begin_item(token: &TokenTree) -> bool {
    const KEYWORDS: &[&str] = &[
        "async",
        "auto",
        "const",
        "enum",
        "extern",
        "fn",
        "impl",
        "macro_rules",
        "mod",
        "pub",
        "static",
        "struct",
        "trait",
        "type",
        "union",
        "unsafe",
        "use",
    ];
    match token {
        TokenTree::Ident(ident) => KEYWORDS.iter().any(|keyword| ident == keyword),
        TokenTree::Punct(punct) => punct.as_char() == '#',
        _ => false,
    }
}

/// `const { .. }`, `static || ..`, `#[allow(..)] let ..` and calls of macros are statements.
fn next_is_item(input: ParseStream<'_>) -> bool {
    match input.fork().parse::<Item>() {
        Ok(Item::Macro(ItemMacro { ident, .. })) => ident.is_some(),
        Ok(Item::Verbatim(_)) | Err(_) => false,
        Ok(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    #[test]
    fn items_are_counted_up_to_the_first_statement() {
        for (items, statements) in [
            (quote!(), quote!(let x = 1; use a::B;)),
            (
                quote!(
                    use a::B;
                    const C: u8 = 1;
                    fn d() {}
                ),
                quote!(d(); use e::F;),
            ),
            (
                quote!(
                    #[derive(Debug)]
                    struct S {
                        x: u8,
                    }
                ),
                quote!(S { x: 1 }.f()),
            ),
            (quote!(/** x */ static S: u8 = 1; enum E {} impl E {}), quote!()),
            (
                quote!(
                    macro_rules! m {
                        () => {};
                    }
                ),
                quote!(m!();),
            ),
            (
                quote!(
                    async fn f() {}
                    unsafe fn g() {}
                ),
                quote!(async {}.await),
            ),
            (quote!(), quote!(const { 1 };)),
            (quote!(), quote!(unsafe { f() })),
            (quote!(), quote!(async move { 1 }.await)),
            (quote!(), quote!(#[allow(unused)] let x = 1;)),
            (quote!(), quote!(static || 1;)),
            (quote!(), quote!(println!();)),
            (quote!(), quote!(union.f();)),
            (
                quote!(
                    use a::B;
                ),
                quote!(use a::),
            ),
            (
                quote!(
                    use a::B;
                ),
                quote!(fn half(x);),
            ),
        ] {
            let tokens: Vec<TokenTree> = items.clone().into_iter().chain(statements.clone()).collect();
            assert_eq!(leading_items(&tokens), items.clone().into_iter().count(), "{items} | {statements}");
        }
    }
}
