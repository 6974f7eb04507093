//! Claim and transaction: the body in an async block, and a settlement behind it.
//!
//! ```text
//! async fn refund(log: &SqliteLog, event: StripeEvent) -> Result<(), AppError> {
//!     let settled = {
//!         let event = &event;
//!         let asked = ::ferro_idem::__private::claim(&log, ::ferro_idem::__private::event(event), LEASE).await;
//!         match asked {
//!             Entry::Run(mut guard) => {
//!                 let reply = {
//!                     let claim = guard.claim();
//!                     let body = async move {
//!                         if let Some(reply) = None::<Result<(), AppError>> { return reply; }
//!                         let c = claim;
//!                         /* the body */
//!                     };
//!                     guard.run(pin!(body)).await
//!                 };
//!                 settle_claim(guard, reply, |reply| (&&&Probe(reply)).rule().is_processed(reply)).await
//!             }
//!             Entry::Duplicate => return duplicate_reply(),
//!             Entry::Failed(error) => Err(error),
//!         }
//!     };
//!     match settled {
//!         Ok(reply) => reply,
//!         Err(error) => error_reply(error),
//!     }
//! }
//! ```
//!
//! - `None::<R>` gives the block its type before the body is looked at: `?` knows what to convert to,
//!   and a mismatch points into the body.
//! - The block is dropped before the reply is made: a body that lost its lease is gone at once.
//! - The user's tokens are in no other macro's call, where half-typed code would not parse.
//! - `error_reply` stands once, so that a closure of the user's is not written twice.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream};
use quote::quote_spanned;
use syn::spanned::Spanned;

use super::{Question, Replies, Runtime, hygienic_at};

pub(super) fn claim(
    runtime: &Runtime,
    question: &Question,
    replies: &Replies,
    return_type: &TokenStream,
    binding: Option<&Ident>,
    lease: &TokenStream,
    body: &Group,
) -> TokenStream {
    let here = Span::mixed_site();
    let Question { read, log, key, site } = question;
    let (ask, outcome) = (runtime.call("claim", *site), runtime.call("Entry", here));
    let (pin, settle) = (runtime.call("pin", here), runtime.call("settle_claim", here));
    let bound = binding.map(|claim| quote_spanned!(here=> let #claim = claim;));
    let body = typed_block(runtime, return_type, bound.as_ref(), body);
    let is_processed = is_processed(runtime, return_type.span());
    let acquired = quote_spanned! {here=>
        #outcome::Run(mut guard) => {
            let reply = {
                let claim = guard.claim();
                let body = #body;
                guard.run(#pin!(body)).await
            };
            #settle(guard, reply, #is_processed).await
        }
    };
    let asked = quote_spanned!(here=> #read let asked = #ask(#log, #key, #lease).await;);
    settled(runtime, &asked, &acquired, &outcome, replies)
}

pub(super) fn transaction(
    runtime: &Runtime,
    question: &Question,
    replies: &Replies,
    return_type: &TokenStream,
    binding: &Ident,
    body: &Group,
) -> TokenStream {
    let here = Span::mixed_site();
    let Question { read, log, key, site } = question;
    let (ask, outcome) = (runtime.call("begin", *site), runtime.call("Entry", here));
    let (pin, settle) = (runtime.call("pin", here), runtime.call("settle_transaction", here));
    let bound = quote_spanned!(here=> let #binding = connection;);
    let body = typed_block(runtime, return_type, Some(&bound), body);
    let is_processed = is_processed(runtime, return_type.span());
    let first = quote_spanned! {here=>
        #outcome::Run(mut open) => {
            let reply = {
                let (connection, delivery) = open.parts();
                let body = #body;
                delivery.run(#pin!(body)).await
            };
            #settle(open, reply, #is_processed).await
        }
    };
    let asked = quote_spanned!(here=> #read let asked = #ask(#log, #key).await;);
    settled(runtime, &asked, &first, &outcome, replies)
}

/// Asks, runs the body in `arm`, and answers.
fn settled(
    runtime: &Runtime,
    asked: &TokenStream,
    arm: &TokenStream,
    outcome: &TokenStream,
    Replies { answer_duplicate, error_reply }: &Replies,
) -> TokenStream {
    let here = Span::mixed_site();
    let (ok, err) = (runtime.call("Ok", here), runtime.call("Err", here));
    quote_spanned! {here=>
        let settled = {
            #asked
            match asked {
                #arm
                #outcome::Duplicate => #answer_duplicate,
                #outcome::Failed(error) => #err(error),
            }
        };
        match settled {
            #ok(reply) => reply,
            #err(error) => #error_reply,
        }
    }
}

fn typed_block(
    runtime: &Runtime,
    return_type: &TokenStream,
    bound: Option<&TokenStream>,
    body: &Group,
) -> TokenStream {
    let here = Span::mixed_site();
    let (some, none) = (runtime.call("Some", here), runtime.call("None", here));
    let reply = Ident::new("reply", hygienic_at(return_type.span()));
    let statements = body.stream();
    let block = quote_spanned! {here=>
        if let #some(#reply) = #none::<#return_type> {
            return #reply;
        }
        #bound
        #statements
    };
    // The user's braces: a missing tail and half-typed code are reported there.
    let mut block = Group::new(Delimiter::Brace, block);
    block.set_span(body.span());
    quote_spanned!(here=> async move #block)
}

/// Takes the first rule that fits the reply's type. That none fits is reported at that type.
fn is_processed(runtime: &Runtime, site: Span) -> TokenStream {
    let here = Span::mixed_site();
    let is_processed = Ident::new("is_processed", hygienic_at(site));
    let (rules, probe) = (runtime.call("rules", here), runtime.call("Probe", here));
    quote_spanned! {here=>
        |reply| {
            use #rules::*;
            (&&&#probe(reply)).rule().#is_processed(reply)
        }
    }
}
