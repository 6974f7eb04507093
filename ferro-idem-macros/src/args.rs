//! Parses the arguments of `#[idempotent_webhook(key = value, ...)]`.

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Error, Expr, Path, Token, token};

use crate::errors::{Found, error_at};
use crate::suggest::nearest;

/// The names of the arguments, in the order of the documentation.
const KNOWN: &[&str] = &[
    "log",
    "event",
    "event_id",
    "scope",
    "claim",
    "transaction",
    "only_if",
    "on_ignored",
    "on_duplicate",
    "on_error",
    "processed",
    "replay",
    "fingerprint",
    "keep",
    "crate",
];

/// The arguments, each with its span.
#[derive(Default)]
pub(crate) struct Args {
    pub(crate) log: Option<Expr>,
    pub(crate) event: Option<Expr>,
    pub(crate) event_id: Option<Expr>,
    pub(crate) scope: Option<Expr>,
    pub(crate) claim: Option<ClaimArgs>,
    pub(crate) transaction: Option<TransactionArgs>,
    pub(crate) only_if: Option<Expr>,
    pub(crate) on_ignored: Option<Expr>,
    pub(crate) on_duplicate: Option<Expr>,
    pub(crate) on_error: Option<Expr>,
    pub(crate) processed: Option<Expr>,
    /// The keyword.
    pub(crate) replay: Option<Ident>,
    pub(crate) fingerprint: Option<Expr>,
    pub(crate) keep: Option<Expr>,
    pub(crate) krate: Option<Path>,
}

/// `claim`, `claim(c)`, `claim(c, lease = EXPR)`.
pub(crate) struct ClaimArgs {
    pub(crate) binding: Option<Ident>,
    pub(crate) lease: Option<Expr>,
}

/// `transaction(tx)`.
pub(crate) struct TransactionArgs {
    pub(crate) keyword: Ident,
    pub(crate) binding: Ident,
}

/// Reads all arguments. After a mistake it continues at the next comma.
pub(crate) fn parse(tokens: TokenStream, found: &mut Found) -> Args {
    let mut args = Args::default();
    let read = |input: ParseStream<'_>| {
        let mut seen = Vec::new();
        while !input.is_empty() {
            if let Err(error) = parse_one(input, &mut args, &mut seen) {
                found.push(error);
                skip_to_comma(input);
            } else if !input.is_empty() && !input.peek(Token![,]) {
                found.push(input.error("expected `,` before the next argument"));
                skip_to_comma(input);
            }
            input.parse::<Option<Token![,]>>()?;
        }
        Ok(())
    };
    let read = read.parse2(tokens);
    found.take(read);
    args
}

fn parse_one(input: ParseStream<'_>, args: &mut Args, seen: &mut Vec<Ident>) -> syn::Result<()> {
    let key = input
        .call(Ident::parse_any)
        .map_err(|error| Error::new(error.span(), "expected `key = expression`, as in `log = app.log`"))?;
    let name = key.to_string();
    if !KNOWN.contains(&name.as_str()) {
        return Err(unknown(&key, &name));
    }
    if seen.contains(&key) {
        return Err(error_at(&key, format!("`{name}` is given twice: keep one")));
    }
    seen.push(key.clone());
    match name.as_str() {
        "claim" => {
            args.claim = Some(parse_claim(input)?);
            return Ok(());
        }
        "transaction" => {
            args.transaction = Some(parse_transaction(key, input)?);
            return Ok(());
        }
        "replay" => {
            args.replay = Some(key);
            return no_arguments(input);
        }
        _ => {}
    }
    let has_value =
        input.parse::<Option<Token![=]>>()?.is_some() && !input.is_empty() && !input.peek(Token![,]);
    if !has_value {
        return Err(error_at(&key, format!("`{name}` needs a value: `{name} = {}`", example(&name))));
    }
    match name.as_str() {
        "log" => args.log = Some(input.parse()?),
        "event" => args.event = Some(input.parse()?),
        "event_id" => args.event_id = Some(input.parse()?),
        "scope" => args.scope = Some(input.parse()?),
        "only_if" => args.only_if = Some(input.parse()?),
        "on_ignored" => args.on_ignored = Some(input.parse()?),
        "on_duplicate" => args.on_duplicate = Some(input.parse()?),
        "on_error" => args.on_error = Some(input.parse()?),
        "processed" => args.processed = Some(input.parse()?),
        "fingerprint" => args.fingerprint = Some(input.parse()?),
        "keep" => args.keep = Some(input.parse()?),
        _ => args.krate = Some(input.call(Path::parse_mod_style)?),
    }
    Ok(())
}

const LEASE_VALUE: &str = "`lease` needs a value: `lease = Duration::from_secs(120)`";

fn parse_claim(input: ParseStream<'_>) -> syn::Result<ClaimArgs> {
    let mut claim = ClaimArgs { binding: None, lease: None };
    if !input.peek(token::Paren) {
        return no_value(input, "claim(c)").map(|()| claim);
    }
    let content;
    syn::parenthesized!(content in input);
    whole(&content, |content| parse_claim_arguments(content, &mut claim))?;
    Ok(claim)
}

fn parse_claim_arguments(content: ParseStream<'_>, claim: &mut ClaimArgs) -> syn::Result<()> {
    while !content.is_empty() {
        let name: Ident = content.parse().map_err(|error| {
            Error::new(error.span(), "expected `claim(c)` or `claim(c, lease = DURATION)`")
        })?;
        if content.parse::<Option<Token![=]>>()?.is_none() {
            if name == "lease" {
                return Err(error_at(name, LEASE_VALUE));
            }
            if claim.binding.is_some() {
                return Err(error_at(name, "the claim has a name already: `claim(c, lease = DURATION)`"));
            }
            claim.binding = Some(name);
        } else if name != "lease" {
            return Err(error_at(
                &name,
                format!("unknown argument `{name}`: a claim has `lease = DURATION`"),
            ));
        } else if claim.lease.is_some() {
            return Err(error_at(name, "`lease` is given twice: keep one"));
        } else {
            if content.is_empty() || content.peek(Token![,]) {
                return Err(error_at(name, LEASE_VALUE));
            }
            claim.lease = Some(content.parse()?);
        }
        if !content.is_empty() {
            content.parse::<Token![,]>()?;
        }
    }
    Ok(())
}

/// The rest of the parentheses after a mistake would lead to a second error.
fn whole<T>(
    content: ParseStream<'_>,
    read: impl FnOnce(ParseStream<'_>) -> syn::Result<T>,
) -> syn::Result<T> {
    let result = read(content);
    if result.is_err() {
        content.parse::<TokenStream>()?;
    }
    result
}

fn parse_transaction(keyword: Ident, input: ParseStream<'_>) -> syn::Result<TransactionArgs> {
    const NAMED: &str = "name the transaction for the body: `transaction(tx)`";
    if !input.peek(token::Paren) {
        return Err(error_at(keyword, NAMED));
    }
    let content;
    syn::parenthesized!(content in input);
    whole(&content, |content| {
        let binding = content.parse().map_err(|error| Error::new(error.span(), NAMED))?;
        if content.is_empty() {
            Ok(TransactionArgs { keyword, binding })
        } else {
            Err(content.error("a transaction has a name and no arguments: `transaction(tx)`"))
        }
    })
}

/// `claim = c`.
fn no_value(input: ParseStream<'_>, meant: &str) -> syn::Result<()> {
    if input.peek(Token![=]) {
        return Err(input.error(format!("a name goes in parentheses: `{meant}`")));
    }
    Ok(())
}

/// `replay = true`, `replay(..)`.
fn no_arguments(input: ParseStream<'_>) -> syn::Result<()> {
    if input.peek(Token![=]) || input.peek(token::Paren) {
        return Err(input.error(
            "`replay` stands alone: `replay, fingerprint = &body, keep = Duration::from_secs(86_400)`",
        ));
    }
    Ok(())
}

fn unknown(key: &Ident, name: &str) -> Error {
    let message = match nearest(name, KNOWN) {
        _ if name == "lease" => "`lease` is the claim's: `claim(lease = DURATION)`".to_owned(),
        _ if name == "fence" => {
            "the fence is the default, without `claim` and `transaction`: leave `fence` out".to_owned()
        }
        Some(meant) => format!("unknown argument `{name}`, did you mean `{meant}`?"),
        None => format!("unknown argument `{name}`: there are `{}`", KNOWN.join("`, `")),
    };
    error_at(key, message)
}

fn example(name: &str) -> &'static str {
    match name {
        "log" => "app.log",
        "event" => "payload",
        "event_id" => "headers_id(&headers)?",
        "scope" => "\"billing\"",
        "only_if" => "event.event_type() == Some(\"invoice.paid\")",
        "on_ignored" | "on_duplicate" => "Ok(())",
        "processed" => "|reply| reply.status().is_success()",
        "fingerprint" => "&body",
        "keep" => "Duration::from_secs(86_400)",
        "on_error" => "|error| Err(error.into())",
        _ => "::ferro_idem",
    }
}

/// After a mistake, skips to the next argument.
fn skip_to_comma(input: ParseStream<'_>) {
    while !input.is_empty() && !input.peek(Token![,]) {
        if input.parse::<TokenTree>().is_err() {
            return;
        }
    }
}
