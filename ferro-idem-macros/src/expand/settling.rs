//! Generates claims and transactions: the body runs in an async block, and its reply settles the event.
//!
//! ```text
//! async fn refund(log: &SqliteLog, event: StripeEvent) -> Result<(), AppError> {
//!     let entry = {
//!         let key = ::ferro_idem::__private::event(&event);
//!         let claiming = ::ferro_idem::__private::claim(&log, key, LEASE);
//!         let entry = claiming.await;
//!         entry
//!     };
//!     let settled = match entry {
//!         Entry::Run(guard) => {
//!             let claim = Guard::claim(&guard);
//!             let body = async move {
//!                 if let Some(reply) = None::<Result<(), AppError>> { return reply; }
//!                 let c = claim;
//!                 /* the body */
//!             };
//!             run_claimed(guard, Box::pin(body), /* whether a reply means "processed" */, untold).await
//!         }
//!         Entry::Duplicate => { return duplicate_reply(); }
//!         Entry::Failed(error) => Err(error),
//!     };
//!     match settled {
//!         Ok(reply) => { return reply; }
//!         Err(error) => { return error_reply(error); }
//!     }
//! }
//! ```
//!
//! - `None::<R>` gives the block its type before the compiler checks the body, so that `?` knows the type to
//!   convert to, and a mismatch points into the body.
//! - The body is on the heap. Otherwise the handler's future would store each argument twice.
//! - The user's tokens are not inside the call of another macro, where half-typed code would not parse.
//! - `error_reply` is written once, so that a closure of the user is not duplicated.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream};
use quote::quote_spanned;
use syn::Expr;

use super::delivery::Delivery;
use super::replay::Replaying;
use super::reply::{Replies, failure, is_processed};
use super::{Runtime, lease};
use crate::handler::Body;

/// The parts that both guarantees share.
pub(super) struct Settling<'a> {
    pub(super) runtime: &'a Runtime,
    pub(super) delivery: Delivery,
    pub(super) replies: Replies,
    pub(super) return_type: TokenStream,
    /// The span of the return type.
    pub(super) return_span: Span,
    pub(super) processed: Option<Expr>,
    /// The handler in errors and in the log.
    pub(super) site: TokenStream,
    /// Whether replies are told to `tracing`.
    pub(super) is_traced: bool,
    /// Only with claims and transactions.
    pub(super) replay: Option<Replaying>,
}

pub(super) fn claim(
    settling: Settling<'_>,
    binding: Option<&Ident>,
    written_lease: Option<Expr>,
    body: &Body,
) -> TokenStream {
    let here = Span::mixed_site();
    let Settling { runtime, site, .. } = &settling;
    let Delivery { key, log, log_span, .. } = &settling.delivery;
    let lease = lease::lease(runtime, written_lease);
    let claiming = if let Some(Replaying { terms, .. }) = &settling.replay {
        let call = runtime.call("claim_replaying", *log_span);
        quote_spanned! {here=>
            #terms
            let __ferro_idem_claiming = #call(#log, __ferro_idem_key, __ferro_idem_lease, #site, __ferro_idem_terms);
        }
    } else {
        let call = runtime.call("claim", *log_span);
        quote_spanned!(here=> let __ferro_idem_claiming = #call(#log, __ferro_idem_key, __ferro_idem_lease, #site);)
    };
    let entry = quote_spanned! {here=>
        #key
        let __ferro_idem_lease: ::core::time::Duration = #lease;
        #claiming
        let __ferro_idem_entry = __ferro_idem_claiming.await;
        __ferro_idem_entry
    };
    let is_replayed = settling.replay.is_some();
    let guard = runtime.call(if is_replayed { "ReplayGuard" } else { "Guard" }, here);
    let bind_claim = binding.map(|binding| {
        let claim = quote_spanned!(here=> let __ferro_idem_claim = #guard::claim(&__ferro_idem_guard););
        (claim, quote_spanned!(here=> let #binding = __ferro_idem_claim;))
    });
    let (make_claim, bind_claim) = bind_claim.unzip();
    let run = runtime.call(if is_replayed { "run_claimed_replaying" } else { "run_claimed" }, here);
    let pinned = runtime.call("Box", here);
    settling.expand(body, &entry, bind_claim.as_ref(), |body, judge| {
        let run = quote_spanned! {here=>
            #make_claim
            let __ferro_idem_body = #body;
            #run(__ferro_idem_guard, #pinned::pin(__ferro_idem_body), #judge).await
        };
        (quote_spanned!(here=> __ferro_idem_guard), run)
    })
}

pub(super) fn transaction(settling: Settling<'_>, binding: &Ident, body: &Body) -> TokenStream {
    let here = Span::mixed_site();
    let Settling { runtime, site, .. } = &settling;
    let Delivery { key, log, bind_log, bound_log, log_span, .. } = &settling.delivery;
    let entry = if let Some(Replaying { terms, .. }) = &settling.replay {
        let call = runtime.call("begin_replaying", *log_span);
        let (own_log, own_logs) = (runtime.call("OwnLog", here), runtime.call("own_logs", here));
        let owned = Ident::new("__ferro_idem_log", super::hygienic_at(*log_span));
        quote_spanned! {here=>
            use #own_logs::*;
            #key
            #terms
            let #owned = (&&&#own_log(#log)).__ferro_idem_own();
            let __ferro_idem_entry = #call(#owned, __ferro_idem_key, #site, __ferro_idem_terms).await;
            __ferro_idem_entry
        }
    } else {
        let call = runtime.call("begin", *log_span);
        quote_spanned! {here=>
            #key
            #bind_log
            let __ferro_idem_entry = #call(#bound_log, __ferro_idem_key, #site).await;
            __ferro_idem_entry
        }
    };
    let bind_connection = quote_spanned! {here=>
        #[allow(clippy::no_effect_underscore_binding)]
        let #binding = __ferro_idem_connection;
    };
    let (open, settle) = match settling.replay {
        Some(_) => ("OpenReplaying", "settle_replaying"),
        None => ("OpenTransaction", "settle_transaction"),
    };
    let (open, settle) = (runtime.call(open, here), runtime.call(settle, here));
    let (run, pinned) = (runtime.call("run_in_transaction", here), runtime.call("Box", here));
    settling.expand(body, &entry, Some(&bind_connection), |body, judge| {
        let run = quote_spanned! {here=>
            let __ferro_idem_reply = {
                let (__ferro_idem_connection, __ferro_idem_delivery) = #open::parts(&mut __ferro_idem_open);
                let __ferro_idem_body = #body;
                #run(__ferro_idem_delivery, #pinned::pin(__ferro_idem_body)).await
            };
            #settle(__ferro_idem_open, __ferro_idem_reply, #judge).await
        };
        (quote_spanned!(here=> mut __ferro_idem_open), run)
    })
}

impl Settling<'_> {
    /// `run` gets the body's block and the closures that judge its reply. It returns the pattern for the
    /// guard that the body runs under, and the code that settles the event.
    fn expand(
        self,
        body: &Body,
        entry: &TokenStream,
        bind: Option<&TokenStream>,
        run: impl FnOnce(TokenStream, TokenStream) -> (TokenStream, TokenStream),
    ) -> TokenStream {
        let here = Span::mixed_site();
        let Self {
            runtime, delivery, replies, return_type, return_span, processed, is_traced, replay, ..
        } = self;
        let Replies { duplicate, error, .. } = replies;
        let filter = delivery.filter;
        let (ok, err) = (runtime.call("Ok", here), runtime.call("Err", here));
        let block = typed_block(runtime, &return_type, return_span, bind, body);
        let (is_processed, failure) =
            (is_processed(runtime, &return_type, return_span, processed), failure(runtime, is_traced));
        let mut judge = quote_spanned!(here=> #is_processed, #failure);
        let (tag, variants, duplicates) = if let Some(replay) = replay {
            let variants = runtime.call("ReplayEntry", here);
            let keep = Replaying::keep(runtime, return_span);
            judge = quote_spanned!(here=> #judge, &__ferro_idem_tag, #keep);
            let duplicates = replay.arms(runtime, return_span, &variants, &duplicate);
            (Replaying::tag(runtime, &return_type), variants, duplicates)
        } else {
            let variants = runtime.call("Entry", here);
            let duplicates = quote_spanned!(here=> #variants::Duplicate => { #duplicate });
            (TokenStream::new(), variants, duplicates)
        };
        let (pattern, settled) = run(block, judge);
        quote_spanned! {here=>
            #filter
            let __ferro_idem_entry = { #entry };
            #tag
            let __ferro_idem_settled = match __ferro_idem_entry {
                #variants::Run(#pattern) => { #settled }
                #duplicates
                #variants::Failed(__ferro_idem_error) => #err(__ferro_idem_error),
            };
            match __ferro_idem_settled {
                #ok(__ferro_idem_reply) => { return __ferro_idem_reply; }
                #err(__ferro_idem_error) => { #error }
            }
        }
    }
}

pub(super) fn typed_block(
    runtime: &Runtime,
    return_type: &TokenStream,
    return_span: Span,
    bind: Option<&TokenStream>,
    Body { items, statements, span }: &Body,
) -> TokenStream {
    let here = Span::mixed_site();
    let (some, none) = (runtime.call("Some", here), runtime.call("None", here));
    let reply = Ident::new("__ferro_idem_reply", super::hygienic_at(return_span));
    let block = quote_spanned! {here=>
        #items
        if let #some(#reply) = #none::<#return_type> {
            return #reply;
        }
        #bind
        #statements
    };
    // These are the user's braces, where a missing tail expression and half-typed code are reported.
    let mut block = Group::new(Delimiter::Brace, block);
    block.set_span(*span);
    quote_spanned!(here=> async move #block)
}
