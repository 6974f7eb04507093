//! Turns the parsed arguments and the handler into a protection, or reports every reason why that is
//! impossible.

use syn::{Expr, ExprLit, Ident, Lit, Path, parse_quote};

use crate::args::{Args, ClaimArgs, TransactionArgs};
use crate::errors::{Found, error_at};
use crate::handler::Handler;

/// A handler's guarantee, ready to expand.
pub(crate) struct Protection {
    pub(crate) guarantee: Guarantee,
    pub(crate) krate: Path,
    pub(crate) log: Expr,
    pub(crate) key: Key,
    pub(crate) scope: Option<Scope>,
    pub(crate) only_if: Option<Expr>,
    pub(crate) on_duplicate: Option<Expr>,
    pub(crate) on_ignored: Option<Expr>,
    pub(crate) on_error: Option<Expr>,
    pub(crate) processed: Option<Expr>,
    pub(crate) replay: Option<Replay>,
}

/// `scope = "billing"`, or `scope = user.id`.
pub(crate) enum Scope {
    Constant(String),
    Of(Expr),
}

/// `replay, fingerprint = &body, keep = DURATION`.
pub(crate) struct Replay {
    pub(crate) fingerprint: Option<Expr>,
    pub(crate) keep: Option<Expr>,
}

pub(crate) enum Guarantee {
    Fence,
    Claim { binding: Option<Ident>, lease: Option<Expr> },
    Transaction { binding: Ident },
}

/// The source of the event's id.
pub(crate) enum Key {
    Event(Expr),
    EventId(Expr),
}

const MAX_SCOPE: usize = 64;

/// Records every mistake in `found`. The protection is complete only if there is none.
pub(crate) fn validate(args: Args, handler: Option<&Handler>, found: &mut Found) -> Option<Protection> {
    // After a broken argument, no argument is reported as missing, because the broken one may be it.
    let complete = handler.filter(|_| found.is_empty());
    let log = found.take(args.log.map(unquoted("log")).transpose());
    let key = found.take(key(args.event, args.event_id));
    let processed = found.take(args.processed.map(unquoted("processed")).transpose());
    let guarantee = found.take(guarantee(args.claim, args.transaction));
    if let (Some(Guarantee::Fence), Some(Some(processed))) = (&guarantee, &processed) {
        found.push(error_at(
            processed,
            "the fence marks the event before the body, so no reply can take the mark back: `processed` needs \
             `claim` or `transaction(tx)`",
        ));
    }
    let scope = found.take(args.scope.map(scope).transpose());
    let fingerprint = found.take(args.fingerprint.map(fingerprint).transpose());
    let keep = found.take(args.keep.map(keep).transpose());
    let replay = match (&args.replay, &guarantee) {
        (Some(keyword), Some(Guarantee::Fence)) => {
            found.push(error_at(
                keyword,
                "the fence marks the event before there is a reply to keep: `replay` needs `transaction(tx)` or \
                 `claim`",
            ));
            false
        }
        (keyword, _) => keyword.is_some(),
    };
    // After another mistake, `replay` may be what is broken.
    if args.replay.is_none() && complete.is_some() {
        let both = [(fingerprint.as_ref(), FINGERPRINT_ALONE), (keep.as_ref(), KEEP_ALONE)];
        for (written, message) in both {
            if let Some(Some(written)) = written {
                found.push(error_at(written, message));
            }
        }
    }
    let on_error = found.take(args.on_error.map(unquoted("on_error")).transpose());
    let only_if = found.take(args.only_if.map(unquoted("only_if")).transpose());
    if let (Some(None), Some(on_ignored)) = (&only_if, &args.on_ignored) {
        found.push(error_at(
            on_ignored,
            "`on_ignored` is the reply to what `only_if` leaves out: add `only_if = EXPR`",
        ));
    }
    let log = log
        .zip(complete)
        .and_then(|(written, handler)| found.take(written.map_or_else(|| log_parameter(handler), Ok)));
    let key = key
        .zip(complete)
        .and_then(|(written, handler)| found.take(written.map_or_else(|| event_parameter(handler), Ok)));
    Some(Protection {
        guarantee: guarantee?,
        krate: args.krate.unwrap_or_else(|| parse_quote!(::ferro_idem)),
        log: log?,
        key: key?,
        scope: scope?,
        only_if: only_if?,
        on_duplicate: args.on_duplicate,
        on_ignored: args.on_ignored,
        on_error: on_error?,
        processed: processed?,
        replay: {
            let (fingerprint, keep) = (fingerprint?, keep?);
            replay.then_some(Replay { fingerprint, keep })
        },
    })
}

fn guarantee(claim: Option<ClaimArgs>, transaction: Option<TransactionArgs>) -> syn::Result<Guarantee> {
    match (claim, transaction) {
        (None, None) => Ok(Guarantee::Fence),
        (Some(ClaimArgs { binding, lease, .. }), None) => Ok(Guarantee::Claim { binding, lease }),
        (None, Some(TransactionArgs { binding, .. })) => Ok(Guarantee::Transaction { binding }),
        (Some(_), Some(TransactionArgs { keyword, .. })) => Err(error_at(
            keyword,
            "`claim` and `transaction` are two guarantees: keep `transaction` if the effects are in the \
             log's own database, `claim` if they are not",
        )),
    }
}

fn log_parameter(handler: &Handler) -> syn::Result<Expr> {
    match handler.binding("log") {
        Some(binding) => Ok(parse_quote!(#binding)),
        None => Err(error_at(
            &handler.signature.ident,
            "which log? There is no parameter named `log`: name one so, or write `log = EXPR`, \
             as in #[idempotent_webhook(log = app.log)]",
        )),
    }
}

fn key(event: Option<Expr>, event_id: Option<Expr>) -> syn::Result<Option<Key>> {
    match (event, event_id) {
        (None, None) => Ok(None),
        (Some(event), None) => Ok(Some(Key::Event(unquoted("event")(event)?))),
        (None, Some(event_id)) => Ok(Some(Key::EventId(not_constant(event_id)?))),
        (Some(_), Some(event_id)) => {
            Err(error_at(event_id, "`event` and `event_id` both say what the event is: keep one"))
        }
    }
}

fn event_parameter(handler: &Handler) -> syn::Result<Key> {
    match handler.binding("event") {
        Some(binding) => Ok(Key::Event(parse_quote!(#binding))),
        None => Err(error_at(
            &handler.signature.ident,
            "which event? There is no parameter named `event`: name one so, or write `event = EXPR` \
             or `event_id = EXPR`",
        )),
    }
}

fn not_constant(event_id: Expr) -> syn::Result<Expr> {
    match literal(&event_id) {
        None => Ok(event_id),
        Some(_) => Err(error_at(
            event_id,
            "a constant id makes every delivery after the first a duplicate: write an expression \
             over the parameters, unquoted",
        )),
    }
}

fn scope(written: Expr) -> syn::Result<Scope> {
    let text = match literal(&written) {
        None => return Ok(Scope::Of(written)),
        Some(Lit::Str(text)) => text.value(),
        Some(_) => {
            return Err(error_at(
                written,
                "a constant scope is a text: `scope = \"billing\"` (or an expression over the parameters: \
                 `scope = user.id`)",
            ));
        }
    };
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
    if (1..=MAX_SCOPE).contains(&text.len()) && text.bytes().all(allowed) {
        Ok(Scope::Constant(text))
    } else {
        Err(error_at(written, "a scope is 1 to 64 characters of `a-z`, `0-9`, `_` and `-`"))
    }
}

const FINGERPRINT_ALONE: &str =
    "`fingerprint` tells a retry from another request under the same key, for `replay`: add `replay`";
const KEEP_ALONE: &str = "`keep` is how long `replay` keeps a reply: add `replay`";

fn fingerprint(written: Expr) -> syn::Result<Expr> {
    match literal(&written) {
        None => Ok(written),
        Some(_) => Err(error_at(
            written,
            "a constant fingerprint is the same for every request: write an expression over the parameters, as in \
             `fingerprint = &body`",
        )),
    }
}

fn keep(written: Expr) -> syn::Result<Expr> {
    match literal(&written) {
        None => Ok(written),
        Some(_) => Err(error_at(written, "`keep` is a `Duration`: `keep = Duration::from_secs(86_400)`")),
    }
}

/// Other attributes take expressions in quotes, so users may write them here as well.
fn unquoted(name: &'static str) -> impl FnOnce(Expr) -> syn::Result<Expr> {
    move |written| match literal(&written) {
        Some(Lit::Str(text)) => {
            let value = text.value();
            Err(error_at(written, format!("write the expression without quotes: `{name} = {value}`")))
        }
        Some(Lit::Bool(_)) if name == "only_if" => Ok(written),
        Some(_) => Err(error_at(written, format!("`{name}` cannot be a literal: write an expression"))),
        None => Ok(written),
    }
}

/// A `$x:literal` or `$x:expr` of a `macro_rules!` arrives inside an invisible group.
fn literal(written: &Expr) -> Option<&Lit> {
    match written {
        Expr::Lit(ExprLit { lit, .. }) => Some(lit),
        Expr::Group(group) => literal(&group.expr),
        _ => None,
    }
}
