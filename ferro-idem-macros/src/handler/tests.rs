use super::*;

#[test]
fn the_module_self_is_not_renamed() {
    let written = quote!(f(self, self.log, self::LOG, &[self::f(self)]));
    let renamed = quote!(f(__self, __self.log, self::LOG, &[self::f(__self)]));
    assert_eq!(with_renamed_self(written).to_string(), renamed.to_string());
}

/// The function with a `check` before the user's code.
fn with_check(item: TokenStream) -> String {
    let handler = parse(item).unwrap();
    handler.with_body(|Body { items, statements, .. }| quote!(#items check; #statements)).to_string()
}

#[test]
fn the_check_comes_after_inner_attributes_and_items() {
    for (body, checked) in [
        (quote!(), quote!(check;)),
        (quote!(#![allow(a)] #![allow(b)] x), quote!(#![allow(a)] #![allow(b)] check; x)),
        (quote!(#[allow(a)] let x = y;), quote!(check; #[allow(a)] let x = y;)),
        (
            quote!(if x {
                y
            }),
            quote!(check; if x { y }),
        ),
        (quote!(!x[1]), quote!(check; !x[1])),
        (quote!(#![allow(a)] use x::Y; Y), quote!(#![allow(a)] use x::Y; check; Y)),
        (quote!(x(#![allow(a)])), quote!(check; x(#![allow(a)]))),
    ] {
        assert_eq!(with_check(quote!(async fn f() { #body })), quote!(async fn f() { #checked }).to_string());
    }
}

#[test]
fn under_async_trait_the_check_is_in_the_user_s_block() {
    let around = |before: TokenStream, ty: TokenStream, block: TokenStream| {
        quote! {
            fn f<'async_trait>() -> Pin<Box<dyn Future<Output = R> + 'async_trait>> {
                #before
                instrumented(1);
                Box::pin(async move { let Json(event) = { __arg1 }; let __ret: #ty = { #block }; __ret })
            }
        }
    };
    for before in [quote!(), quote!(enter(span, { 1 });), quote!(let _guard = { span };)] {
        for ty in [quote!(R), quote!(A<N = { 3 }>), quote!(A<B = (u8,)>), quote!(fn(u8) -> [u8; { 3 }])] {
            let written = around(before.clone(), ty.clone(), quote!(x));
            let checked = around(before.clone(), ty, quote!(check; x)).to_string();
            assert_eq!(with_check(written), checked);
        }
    }
}

#[test]
fn what_only_looks_like_async_trait_is_not_async() {
    let users_block = quote!({
        let __ret: R = { x };
    });
    for item in [
        quote!(fn f() -> R #users_block),
        quote!(fn f<'a>() -> R #users_block),
        quote!(
            fn f<'async_trait>() -> R {
                x
            }
        ),
        quote!(
            fn f<'async_trait>() -> R {
                let other: R = { x };
            }
        ),
        quote!(
            fn f<'async_trait>() -> R {
                let __ret = { x };
            }
        ),
        quote!(
            fn f<'async_trait>() -> R {
                let __ret: R = x;
            }
        ),
        quote!(
            fn f<'async_trait>() -> R {
                let __ret: R = (x);
            }
        ),
        quote!(
            fn f<'async_trait>() -> R {
                let __ret: R = { x }.y;
            }
        ),
    ] {
        assert!(parse(item.clone()).is_err(), "{item}");
    }
}

#[test]
fn a_binding_of_async_trait_is_found_in_its_lets_alone() {
    let bound = |statement: TokenStream| {
        let handler = parse(quote! {
            fn f<'async_trait>() -> P { Box::pin(async move { #statement let __ret: R = { let event = x; }; }) }
        });
        handler.unwrap().binding("event").is_some()
    };
    assert!(bound(quote!(let Json(event) = __arg1;)));
    assert!(bound(quote!(let mut event = __arg1;)));
    assert!(bound(quote!(
        let r#event = __arg1;
    )));
    assert!(!bound(quote!(
        let x = {
            let event = __arg1;
        };
    )));
    assert!(!bound(quote!(x.event = __arg1;)));
    assert!(!bound(quote!(let x = event;)));
}

/// In invisible groups, as a `macro_rules!` passes its `$body:block` and `$item:item`.
#[test]
fn invisible_groups_are_looked_into() {
    let invisible = |tokens: TokenStream| TokenTree::from(Group::new(Delimiter::None, tokens));
    let block = invisible(quote!({ x }));
    assert_eq!(
        with_check(quote!(async fn f() #block)),
        quote!(
            async fn f() {
                check;
                x
            }
        )
        .to_string()
    );
    let block = invisible(invisible(quote!({ x })).into());
    assert_eq!(
        with_check(quote!(async fn f() #block)),
        quote!(
            async fn f() {
                check;
                x
            }
        )
        .to_string()
    );
    let item = invisible(quote!(
        async fn f() {
            x
        }
    ));
    assert_eq!(
        with_check(item.into()),
        quote!(
            async fn f() {
                check;
                x
            }
        )
        .to_string()
    );
    let two = invisible(quote!({ x } { y }));
    assert!(parse(quote!(async fn f() #two)).is_err());
}

#[test]
fn visibility_and_default_are_no_hindrance() {
    for item in [
        quote!(
            pub(crate) async fn f() {}
        ),
        quote!(default async fn f() {}),
        quote!(
            #[doc = "x"]
            pub async unsafe fn f() {}
        ),
    ] {
        assert!(parse(item.clone()).is_ok(), "{item}");
    }
    assert!(parse(quote!(other async fn f() {})).is_err());
}
