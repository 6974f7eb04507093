//! Generates the fence: a block before the body.
//!
//! ```text
//! async fn on_event<L: ProcessedEventLog>(log: &L, event: StripeEvent) -> Result<(), AppError> {
//!     let marked = {
//!         let entry = {
//!             let key = ::ferro_idem::__private::event(&event);
//!             let entry = ::ferro_idem::__private::fence(&log, key, SITE).await;
//!             entry
//!         };
//!         match entry {
//!             ::ferro_idem::__private::Entry::Run(marked) => marked,
//!             ::ferro_idem::__private::Entry::Duplicate => return ::ferro_idem::__private::duplicate_reply(),
//!             ::ferro_idem::__private::Entry::Failed(error) => return ::ferro_idem::__private::error_reply(error),
//!         }
//!     };
//!     /* the body, untouched */
//! }
//! ```
//!
//! Only `marked` lives into the body, and it borrows nothing. So drop order, borrows and compile errors are
//! those of the plain function. A lock that the log's expression takes is released before a duplicate is
//! answered. Each result is bound to a name, because in edition 2021 the temporaries of a block's tail
//! expression outlive its bindings.
//!
//! With the feature `tracing`, the reply is told. Then the body is a block:
//!
//! ```text
//!     let body = async move {
//!         if let Some(reply) = None::<Result<(), AppError>> { return reply; }
//!         /* moves the parameters here: see `handler::parameters` */
//!         /* the body */
//!     };
//!     return run_fenced(marked, Box::pin(body), /* why a reply is not a success */).await;
//! ```

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;

use super::delivery::Delivery;
use super::reply::{Replies, why_not_a_success};
use super::settling::{Settling, typed_block};
use crate::handler::Body;

pub(super) fn expand(settling: &Settling<'_>, Body { items, statements, .. }: &Body) -> TokenStream {
    let mark = mark(settling);
    quote_spanned! {Span::mixed_site()=>
        #items
        #mark
        #statements
    }
}

/// `parameters` moves them into the block.
pub(super) fn traced(settling: &Settling<'_>, parameters: &TokenStream, body: Body) -> TokenStream {
    let here = Span::mixed_site();
    let Settling { runtime, return_type, return_span, .. } = settling;
    let (run, pinned) = (runtime.call("run_fenced", here), runtime.call("Box", here));
    let Body { items, statements, span } = body;
    let body = Body { items: TokenStream::new(), statements, span };
    let block = typed_block(runtime, return_type, *return_span, Some(parameters), &body);
    let why_not_a_success = why_not_a_success(runtime);
    let mark = mark(settling);
    quote_spanned! {here=>
        #items
        #mark
        let __ferro_idem_body = #block;
        return #run(__ferro_idem_marked, #pinned::pin(__ferro_idem_body), #why_not_a_success).await;
    }
}

/// Binds `__ferro_idem_marked`, or returns.
fn mark(settling: &Settling<'_>) -> TokenStream {
    let here = Span::mixed_site();
    let Settling { runtime, delivery, replies, site, .. } = settling;
    let Delivery { filter, key, bind_log, bound_log, log_span, .. } = delivery;
    let Replies { duplicate, error, .. } = replies;
    let fence = runtime.call("fence", *log_span);
    let entry = runtime.call("Entry", here);
    quote_spanned! {here=>
        let __ferro_idem_marked = {
            #filter
            let __ferro_idem_entry = {
                #key
                #bind_log
                let __ferro_idem_entry = #fence(#bound_log, __ferro_idem_key, #site).await;
                __ferro_idem_entry
            };
            match __ferro_idem_entry {
                #entry::Run(__ferro_idem_marked) => __ferro_idem_marked,
                #entry::Duplicate => { #duplicate }
                #entry::Failed(__ferro_idem_error) => { #error }
            }
        };
    }
}
