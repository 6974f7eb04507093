//! The function under the attribute.
//!
//! The body is kept as raw tokens, so that half-typed code still expands and no code is parsed twice.

mod items;
mod parameters;
mod return_type;
#[cfg(test)]
mod tests;

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Attribute, Error, FnArg, GenericParam, ReturnType, Signature, Token, Visibility};

use self::items::leading_items;
use self::return_type::{output_of_future, with_inferred_impls};
use crate::errors::error_at;

/// An identifier that only an expansion contains, so that a second attribute detects the first.
const MARKER: &str = "__ferro_idem_entry";

/// An async function in parts, which together are the function as it was written.
pub(crate) struct Handler {
    /// Everything before the body.
    pub(crate) head: TokenStream,
    pub(crate) signature: Signature,
    pub(crate) body: Group,
    form: Form,
}

/// The content of a body, without its inner attributes.
pub(crate) struct Body {
    /// `use`, `const`, `fn` and other items at the start. They stay there, because clippy warns about items
    /// after statements.
    pub(crate) items: TokenStream,
    pub(crate) statements: TokenStream,
    /// The user's braces.
    pub(crate) span: Span,
}

/// How the function is async. This decides where the guarantee is inserted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `async fn`: at the start of its block.
    AsyncFn,
    /// `#[async_trait]` on the impl, which ran first:
    ///
    /// ```text
    /// fn f<'life0, 'async_trait>(&'life0 self, __arg1: Json<E>) -> Pin<Box<dyn Future<Output = R> + ..>> {
    ///     Box::pin(async move {
    ///         if let Some(__ret) = None::<R> { return __ret; }
    ///         let __self = self;
    ///         let Json(event) = { let __arg1 = __arg1; __arg1 };
    ///         let __ret: R = { /* what the user wrote: here */ };
    ///         __ret
    ///     })
    /// }
    /// ```
    AsyncTrait,
}

pub(crate) fn parse(item: TokenStream) -> syn::Result<Handler> {
    let mut head: Vec<TokenTree> = item.into_iter().collect();
    // A `$item:item` of a `macro_rules!`.
    if let [TokenTree::Group(group)] = &head[..]
        && group.delimiter() == Delimiter::None
    {
        return parse(group.stream());
    }
    let body = head.last().and_then(braces);
    if body.is_some() {
        head.pop();
    }
    if !head.iter().any(|token| is_ident(token, "fn")) {
        return Err(Error::new(keyword_span(&head), "#[idempotent_webhook] goes on an `async fn`"));
    }
    let head = TokenStream::from_iter(head);
    let signature = parse_signature.parse2(head.clone())?;
    let Some(body) = body else {
        return Err(error_at(
            &signature.ident,
            "there is no body to protect here: put #[idempotent_webhook] on the implementation",
        ));
    };
    // Attributes expand from the top. The other attribute is below another one, has another name, or comes
    // from a `cfg_attr`.
    if names_any(body.stream(), &[MARKER]) {
        return Err(error_at(
            &signature.ident,
            "#[idempotent_webhook] is on this function twice: the second would take the first delivery for a \
             duplicate, keep one",
        ));
    }
    let form = if signature.asyncness.is_some() {
        Form::AsyncFn
    } else if has_async_trait_lifetime(&signature) && in_users_block(body.stream(), |block| block).is_some() {
        Form::AsyncTrait
    } else {
        return Err(not_async(&signature, &body));
    };
    Ok(Handler { head, signature, body, form })
}

fn not_async(signature: &Signature, body: &Group) -> Error {
    let returns_future = names_any(signature.output.to_token_stream(), &["Future", "BoxFuture"]);
    let message = if returns_future || names_any(body.stream(), &["block_on"]) {
        "an attribute above #[idempotent_webhook] has rewritten this `async fn` already: put \
         #[idempotent_webhook] above that one (if it is not an `async fn`, make it one)"
    } else {
        "#[idempotent_webhook] goes on an async function: write `async fn`"
    };
    error_at(signature.fn_token, message)
}

/// Whether one of these words occurs in the tokens.
fn names_any(tokens: TokenStream, words: &[&str]) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Group(group) => names_any(group.stream(), words),
        TokenTree::Ident(ident) => words.iter().any(|word| ident == word),
        _ => false,
    })
}

/// A block, also inside the invisible group that a `macro_rules!` puts around a `$body:block`.
fn braces(token: &TokenTree) -> Option<Group> {
    let TokenTree::Group(group) = token else { return None };
    match group.delimiter() {
        Delimiter::Brace => Some(group.clone()),
        Delimiter::None => {
            let mut tokens = group.stream().into_iter();
            let block = braces(&tokens.next()?)?;
            tokens.next().is_none().then_some(block)
        }
        _ => None,
    }
}

fn parse_signature(input: ParseStream<'_>) -> syn::Result<Signature> {
    Attribute::parse_outer(input)?;
    input.parse::<Visibility>()?;
    let is_default = input.fork().parse::<Ident>().is_ok_and(|ident| ident == "default");
    if is_default {
        input.parse::<Ident>()?;
    }
    let signature = input.parse()?;
    input.parse::<Option<Token![;]>>()?;
    Ok(signature)
}

/// The keyword of an item that is not a function: `struct`, `impl`, ...
fn keyword_span(head: &[TokenTree]) -> Span {
    let mut idents = head.iter().filter(|token| matches!(token, TokenTree::Ident(_)));
    let keyword = idents.find(|token| !is_ident(token, "pub"));
    keyword.map_or_else(Span::call_site, TokenTree::span)
}

fn has_async_trait_lifetime(signature: &Signature) -> bool {
    signature.generics.params.iter().any(|parameter| match parameter {
        GenericParam::Lifetime(lifetime) => lifetime.lifetime.ident == "async_trait",
        _ => false,
    })
}

impl Handler {
    /// The binding with this name in the parameters, as the user wrote it. It has the parameter's span, and
    /// the hygiene of a `macro_rules!` that generates the function.
    pub(crate) fn binding(&self, name: &str) -> Option<Ident> {
        let parameters = self.signature.inputs.iter().filter_map(|input| match input {
            FnArg::Typed(parameter) => binding_in(parameter.pat.to_token_stream(), name),
            FnArg::Receiver(_) => None,
        });
        parameters.chain(self.rebound(name)).next()
    }

    /// `#[async_trait]` moves patterns from the parameters into `let`s.
    fn rebound(&self, name: &str) -> Option<Ident> {
        match self.form {
            Form::AsyncFn => None,
            Form::AsyncTrait => binding_in_lets(&self.body.stream(), name),
        }
    }

    /// The function with the user's block rewritten, except the block's inner attributes.
    pub(crate) fn with_body(self, rewrite: impl FnOnce(Body) -> TokenStream) -> TokenStream {
        let mut function = self.head;
        let body = match self.form {
            Form::AsyncFn => after_inner_attributes(&self.body, rewrite),
            Form::AsyncTrait => {
                let stream = self.body.stream();
                let rewritten = in_users_block(stream, |block| after_inner_attributes(&block, rewrite));
                regroup(&self.body, rewritten.unwrap_or_else(|| self.body.stream()))
            }
        };
        function.extend([TokenTree::Group(body)]);
        function
    }

    /// The return type of the body, in a form that can be written in an expression.
    pub(crate) fn return_type(&self) -> TokenStream {
        match (&self.signature.output, self.form) {
            (ReturnType::Default, _) => quote!(()),
            (ReturnType::Type(_, ty), Form::AsyncFn) => with_inferred_impls(ty.to_token_stream()),
            (ReturnType::Type(_, ty), Form::AsyncTrait) => {
                output_of_future(ty.to_token_stream()).unwrap_or_else(|| quote!(_))
            }
        }
    }

    /// The attribute's arguments as they have to be written in the body, where `#[async_trait]` has renamed
    /// `self`.
    pub(crate) fn in_body(&self, args: TokenStream) -> TokenStream {
        match self.form {
            Form::AsyncFn => args,
            Form::AsyncTrait => with_renamed_self(args),
        }
    }
}

/// Whether the token is the receiver, and not the module in `self::LOG`, which `#[async_trait]` leaves
/// unchanged.
fn with_renamed_self(tokens: TokenStream) -> TokenStream {
    let mut tokens = tokens.into_iter().peekable();
    let mut renamed: Vec<TokenTree> = Vec::new();
    while let Some(token) = tokens.next() {
        renamed.push(match token {
            TokenTree::Ident(ident) if ident == "self" && !is_punct(tokens.peek(), ':') => {
                Ident::new("__self", ident.span()).into()
            }
            TokenTree::Group(group) => regroup(&group, with_renamed_self(group.stream())).into(),
            other => other,
        });
    }
    renamed.into_iter().collect()
}

/// Finds a name in a pattern that is a binding, not a path or a field's name before its pattern.
fn binding_in(pattern: TokenStream, name: &str) -> Option<Ident> {
    let tokens: Vec<TokenTree> = pattern.into_iter().collect();
    tokens.iter().enumerate().find_map(|(index, token)| match token {
        TokenTree::Group(group) => binding_in(group.stream(), name),
        TokenTree::Ident(ident) if ident.unraw() == name => {
            let before = |places: usize| index.checked_sub(places).and_then(|place| tokens.get(place));
            let in_path = is_punct(before(1), ':') && is_punct(before(2), ':');
            let names_another = match tokens.get(index + 1) {
                Some(TokenTree::Group(_)) => true,
                next => is_punct(next, ':'),
            };
            (!in_path && !names_another).then(|| ident.clone())
        }
        _ => None,
    })
}

/// The same for the `let PATTERN = ..` statements before the user's block. The block has bindings of its own.
fn binding_in_lets(tokens: &TokenStream, name: &str) -> Option<Ident> {
    let tokens: Vec<TokenTree> = tokens.clone().into_iter().collect();
    if let Some((users_block, _)) = users_block_at_this_depth(&tokens) {
        let mut lets = tokens.into_iter().take(users_block);
        while lets.any(|token| is_ident(&token, "let")) {
            let pattern = lets.by_ref().take_while(|token| !is_punct(Some(token), '='));
            if let Some(binding) = binding_in(pattern.collect(), name) {
                return Some(binding);
            }
        }
        return None;
    }
    tokens.iter().find_map(|token| match token {
        TokenTree::Group(group) if holds_users_block(group.stream()) => {
            binding_in_lets(&group.stream(), name)
        }
        _ => None,
    })
}

/// Replaces the user's block in the expansion of `#[async_trait]`: the block in `let __ret: R = { .. };` or
/// `let _: () = { .. };`. Other attributes may have wrapped it, so it is searched at any depth, from the
/// outside in.
fn in_users_block(tokens: TokenStream, replace: impl FnOnce(Group) -> Group) -> Option<TokenStream> {
    let mut tokens: Vec<TokenTree> = tokens.into_iter().collect();
    if let Some((index, block)) = users_block_at_this_depth(&tokens) {
        tokens[index] = replace(block).into();
        return Some(tokens.into_iter().collect());
    }
    let (index, group) = tokens.iter().enumerate().find_map(|(index, token)| match token {
        TokenTree::Group(group) if holds_users_block(group.stream()) => Some((index, group.clone())),
        _ => None,
    })?;
    tokens[index] = regroup(&group, in_users_block(group.stream(), replace)?).into();
    Some(tokens.into_iter().collect())
}

fn holds_users_block(tokens: TokenStream) -> bool {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    users_block_at_this_depth(&tokens).is_some()
        || tokens.iter().any(|token| match token {
            TokenTree::Group(group) => holds_users_block(group.stream()),
            _ => false,
        })
}

fn users_block_at_this_depth(tokens: &[TokenTree]) -> Option<(usize, Group)> {
    let start = tokens.windows(3).position(|window| {
        is_ident(&window[0], "let")
            && (is_ident(&window[1], "__ret") || is_ident(&window[1], "_"))
            && is_punct(Some(&window[2]), ':')
    })?;
    let rest = tokens.get(start..)?;
    rest.windows(3).enumerate().find_map(|(offset, window)| match window {
        [equals, TokenTree::Group(block), semicolon]
            if is_punct(Some(equals), '=')
                && block.delimiter() == Delimiter::Brace
                && is_punct(Some(semicolon), ';') =>
        {
            Some((start + offset + 1, block.clone()))
        }
        _ => None,
    })
}

/// `#![allow(..)]` is only allowed at the start of a block.
fn after_inner_attributes(block: &Group, rewrite: impl FnOnce(Body) -> TokenStream) -> Group {
    let tokens: Vec<TokenTree> = block.stream().into_iter().collect();
    let attributes = tokens
        .chunks(3)
        .take_while(|chunk| {
            is_punct(chunk.first(), '#')
                && is_punct(chunk.get(1), '!')
                && matches!(chunk.get(2), Some(TokenTree::Group(_)))
        })
        .count();
    let (attributes, rest) = tokens.split_at(attributes * 3);
    let (items, statements) = rest.split_at(leading_items(rest));
    let stream = |tokens: &[TokenTree]| tokens.iter().cloned().collect();
    let body = Body { items: stream(items), statements: stream(statements), span: block.span() };
    regroup(block, attributes.iter().cloned().chain(rewrite(body)).collect())
}

fn regroup(original: &Group, tokens: TokenStream) -> Group {
    let mut group = Group::new(original.delimiter(), tokens);
    group.set_span(original.span());
    group
}

fn is_ident(token: &TokenTree, name: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident == name)
}

fn is_punct(token: Option<&TokenTree>, character: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == character)
}
