//! The return type of the body, in a form that can be written in an expression.

use proc_macro2::{Group, Ident, TokenStream, TokenTree};

use super::{is_ident, is_punct};

/// Replaces `impl Bounds`, up to the comma or bracket that ends it, by `_`, because it cannot be named.
pub(super) fn with_inferred_impls(tokens: TokenStream) -> TokenStream {
    let mut inferred: Vec<TokenTree> = Vec::new();
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Group(group) => {
                let mut group_inferred = Group::new(group.delimiter(), with_inferred_impls(group.stream()));
                group_inferred.set_span(group.span());
                inferred.push(group_inferred.into());
            }
            token if is_ident(&token, "impl") => {
                inferred.push(Ident::new("_", token.span()).into());
                let mut bounds = TypeWalk::default();
                while tokens.peek().is_some_and(|next| !bounds.ends_before(next)) {
                    tokens.next();
                }
            }
            other => inferred.push(other),
        }
    }
    inferred.into_iter().collect()
}

/// `T` of `Pin<Box<dyn Future<Output = T> + ..>>`.
pub(super) fn output_of_future(ty: TokenStream) -> Option<TokenStream> {
    let mut tokens = ty.into_iter().skip_while(|token| !is_ident(token, "Output")).skip(1);
    tokens.next().filter(|token| is_punct(Some(token), '='))?;
    let mut output = TypeWalk::default();
    Some(tokens.take_while(|token| !output.ends_before(token)).collect())
}

/// A walk over the tokens of a type.
#[derive(Default)]
struct TypeWalk {
    open_angles: usize,
    after_minus: bool,
}

impl TypeWalk {
    /// Whether the type that the walk began in ends before this token.
    fn ends_before(&mut self, token: &TokenTree) -> bool {
        let is_arrow = self.after_minus && is_punct(Some(token), '>');
        self.after_minus = is_punct(Some(token), '-');
        match token {
            TokenTree::Punct(punct) if punct.as_char() == '<' => self.open_angles += 1,
            TokenTree::Punct(punct) if punct.as_char() == '>' && !is_arrow => {
                if self.open_angles == 0 {
                    return true;
                }
                self.open_angles -= 1;
            }
            TokenTree::Punct(punct) if matches!(punct.as_char(), ',' | ';') => return self.open_angles == 0,
            _ => {}
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    #[test]
    fn impl_trait_is_inferred_wherever_it_stands() {
        for (written, inferred) in [
            (quote!(Result<impl Into<Vec<u8>> + 'a, Error>), quote!(Result<_, Error>)),
            (quote!(impl Fn(u8) -> Vec<u8>), quote!(_)),
            (quote!((impl Display, [impl Sized; 2])), quote!((_, [_; 2]))),
            (quote!(Result<(), Error>), quote!(Result<(), Error>)),
        ] {
            assert_eq!(with_inferred_impls(written).to_string(), inferred.to_string());
        }
    }

    #[test]
    fn the_output_of_a_boxed_future_is_found() {
        let ty = quote!(
            ::core::pin::Pin<
                Box<dyn ::core::future::Future<Output = Result<Vec<fn() -> u8>, E>> + Send + 'async_trait>,
            >
        );
        assert_eq!(output_of_future(ty).unwrap().to_string(), quote!(Result<Vec<fn() -> u8>, E>).to_string());
        assert!(output_of_future(quote!(Result<(), E>)).is_none());
    }
}
