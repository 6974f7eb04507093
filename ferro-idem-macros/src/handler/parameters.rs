//! Moves the parameters into the block that runs the body, so that they are dropped as in the plain function:
//! after the body's locals, the last parameter first.
//!
//! A block drops what it captures in the order in which it names it. So it begins with
//!
//! ```text
//! let _ = &last;
//! let _ = &first;
//! let _ = &self;
//! ```
//!
//! A part of an argument that no pattern binds, as in `_: Noted` or `(kept, _): (Noted, Noted)`, has no name.
//! Such a parameter is renamed, and its pattern moves into the block:
//!
//! ```text
//! async fn f(first: Noted, __ferro_idem_argument_1: (Noted, Noted)) {
//!     async move {
//!         let _ = &__ferro_idem_argument_1;
//!         let _ = &first;
//!         let (kept, _) = __ferro_idem_argument_1;
//! ```
//!
//! It keeps its name if the attribute's arguments name one of its bindings, or if another attribute may do so.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Attribute, FnArg, Pat, Signature, Visibility};

use super::{Form, Handler, is_ident, is_punct, names_any, users_block_at_this_depth};

/// What stands at the start of the block.
#[derive(Default)]
struct Moved {
    /// What the block captures, the first parameter first, each with the `cfg`s of its parameter.
    names: Vec<(TokenStream, TokenStream)>,
    /// Statements that bind the renamed parameters.
    bindings: TokenStream,
    /// These parameters are locals of the block, and locals are dropped first. So are all parameters after
    /// them.
    are_locals: bool,
}

impl Handler {
    /// Statements for the start of the block. Parameters may be renamed.
    pub(crate) fn move_parameters(&mut self, args: &TokenStream) -> TokenStream {
        let moved = match self.form {
            Form::AsyncFn => self.moved_from_signature(args),
            Form::AsyncTrait => {
                let names = lets_around_users_block(self.body.stream());
                Moved {
                    names: names.into_iter().map(|name| (TokenStream::new(), name)).collect(),
                    ..Moved::default()
                }
            }
        };
        let mut statements = TokenStream::new();
        for (cfgs, name) in moved.names.iter().rev() {
            statements.extend(quote_spanned! {Span::mixed_site()=>
                #cfgs
                #[allow(clippy::used_underscore_binding)]
                let _ = &#name;
            });
        }
        statements.extend(moved.bindings);
        statements
    }

    fn moved_from_signature(&mut self, args: &TokenStream) -> Moved {
        let Ok(Head { attributes, visibility, default, mut signature }) =
            parse_head.parse2(self.head.clone())
        else {
            return Moved::default();
        };
        let may_rename = attributes.iter().all(is_inert);
        let mut moved = Moved::default();
        for (index, input) in signature.inputs.iter_mut().enumerate() {
            match input {
                FnArg::Receiver(receiver) => {
                    moved.names.push((TokenStream::new(), receiver.self_token.to_token_stream()));
                }
                FnArg::Typed(parameter) => {
                    let may_rename = may_rename && !is_named(&parameter.pat, args);
                    let cfgs = parameter.attrs.iter().filter(|attribute| attribute.path().is_ident("cfg"));
                    let cfgs = cfgs.map(ToTokens::to_token_stream).collect();
                    move_parameter(&mut moved, cfgs, &mut parameter.pat, index, may_rename);
                }
            }
        }
        self.head = quote!(#(#attributes)* #visibility #default #signature);
        self.signature = signature;
        moved
    }
}

fn move_parameter(moved: &mut Moved, cfgs: TokenStream, pattern: &mut Pat, index: usize, may_rename: bool) {
    if binds_all(pattern) || !may_rename {
        let names = bindings(pattern.to_token_stream());
        if moved.are_locals {
            for (mutability, name) in &names {
                moved.bindings.extend(
                    quote!(#cfgs #[allow(clippy::shadow_same, clippy::used_underscore_binding)] let #mutability #name = #name;),
                );
            }
            let immutable = without_mut(pattern.to_token_stream());
            if let Ok(immutable) = Pat::parse_single.parse2(immutable) {
                *pattern = immutable;
            }
        }
        moved.names.extend(names.into_iter().map(|(_, name)| (cfgs.clone(), name.into_token_stream())));
        return;
    }
    let name = format_ident!("__ferro_idem_argument_{index}", span = Span::mixed_site());
    if !matches!(pattern, Pat::Wild(_)) {
        moved.bindings.extend(quote!(#cfgs let #pattern = #name;));
        moved.are_locals = true;
    }
    moved.names.push((cfgs, name.to_token_stream()));
    if let Ok(renamed) = Pat::parse_single.parse2(name.into_token_stream()) {
        *pattern = renamed;
    }
}

/// Whether nothing of the argument is left without a name.
fn binds_all(pattern: &Pat) -> bool {
    match pattern {
        Pat::Ident(binding) => binding.by_ref.is_none() && binding.subpat.is_none(),
        Pat::Paren(inner) => binds_all(&inner.pat),
        Pat::Tuple(tuple) => tuple.elems.iter().all(binds_all),
        Pat::TupleStruct(tuple) => tuple.elems.iter().all(binds_all),
        Pat::Struct(fields) => {
            fields.rest.is_none() && fields.fields.iter().all(|field| binds_all(&field.pat))
        }
        _ => false,
    }
}

/// Whether the attribute's arguments name a binding of the pattern. Without arguments, it is `log` or `event`.
fn is_named(pattern: &Pat, args: &TokenStream) -> bool {
    bindings(pattern.to_token_stream()).iter().any(|(_, name)| {
        let plain = name.unraw();
        plain == "log"
            || plain == "event"
            || names_any(args.clone(), &[&name.to_string(), &plain.to_string()])
    })
}

/// Attributes that cannot name a parameter.
fn is_inert(attribute: &Attribute) -> bool {
    const INERT: &[&str] =
        &["allow", "cfg", "cold", "deny", "deprecated", "doc", "expect", "inline", "must_use", "warn"];
    INERT.iter().any(|name| attribute.path().is_ident(name))
}

/// The bindings of a pattern in their order, and whether each is mutable.
fn bindings(pattern: TokenStream) -> Vec<(Option<TokenTree>, Ident)> {
    let tokens: Vec<TokenTree> = pattern.into_iter().collect();
    let mut found = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => found.extend(bindings(group.stream())),
            TokenTree::Ident(ident) if is_binding(&tokens, index, ident) => {
                let mutability = index.checked_sub(1).and_then(|before| tokens.get(before));
                found.push((mutability.filter(|token| is_ident(token, "mut")).cloned(), ident.clone()));
            }
            _ => {}
        }
    }
    found
}

/// Not a keyword, a path, a type or a constant, nor a field's name before its pattern.
fn is_binding(tokens: &[TokenTree], index: usize, ident: &Ident) -> bool {
    let is_keyword = ["mut", "ref", "box", "_"].iter().any(|keyword| ident == keyword);
    let is_lower = !ident.unraw().to_string().starts_with(char::is_uppercase);
    let in_path = index.checked_sub(1).is_some_and(|before| is_punct(tokens.get(before), ':'));
    let before_another = match tokens.get(index + 1) {
        Some(TokenTree::Group(_)) => true,
        next => is_punct(next, ':'),
    };
    !is_keyword && is_lower && !in_path && !before_another
}

fn without_mut(tokens: TokenStream) -> TokenStream {
    tokens
        .into_iter()
        .filter(|token| !is_ident(token, "mut"))
        .map(|token| match token {
            TokenTree::Group(group) => super::regroup(&group, without_mut(group.stream())).into(),
            other => other,
        })
        .collect()
}

/// The bindings of the `let`s that `#[async_trait]` writes before the user's block.
fn lets_around_users_block(tokens: TokenStream) -> Vec<TokenStream> {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    if let Some((users_block, _)) = users_block_at_this_depth(&tokens) {
        let mut names = Vec::new();
        let mut before = tokens.into_iter().take(users_block);
        while before.any(|token| is_ident(&token, "let")) {
            let pattern = before.by_ref().take_while(|token| !is_punct(Some(token), '='));
            let pattern: TokenStream = pattern.collect();
            // `let __ret: R = { the user's block }`, and the pattern of an `if let`.
            if !names_any(pattern.clone(), &["__ret"]) {
                names.extend(bindings(pattern).into_iter().map(|(_, name)| name.into_token_stream()));
            }
        }
        return names;
    }
    tokens
        .into_iter()
        .find_map(|token| match token {
            TokenTree::Group(group) if super::holds_users_block(group.stream()) => {
                Some(lets_around_users_block(group.stream()))
            }
            _ => None,
        })
        .unwrap_or_default()
}

struct Head {
    attributes: Vec<Attribute>,
    visibility: Visibility,
    default: Option<Ident>,
    signature: Signature,
}

fn parse_head(input: ParseStream<'_>) -> syn::Result<Head> {
    let attributes = Attribute::parse_outer(input)?;
    let visibility = input.parse()?;
    let is_default = input.fork().parse::<Ident>().is_ok_and(|ident| ident == "default");
    let default = if is_default { Some(input.parse()?) } else { None };
    let signature = input.parse()?;
    input.parse::<TokenStream>()?;
    Ok(Head { attributes, visibility, default, signature })
}
