//! Generates the fence: a block before the body.
//!
//! ```text
//! async fn on_event<L: ProcessedEventLog>(log: &L, event: StripeEvent) -> Result<(), AppError> {
//!     {
//!         let entry = {
//!             let key = ::ferro_idem::__private::event(&event);
//!             let entry = ::ferro_idem::__private::fence(&log, key).await;
//!             entry
//!         };
//!         match entry {
//!             ::ferro_idem::__private::Entry::Run(()) => {}
//!             ::ferro_idem::__private::Entry::Duplicate => return ::ferro_idem::__private::duplicate_reply(),
//!             ::ferro_idem::__private::Entry::Failed(error) => return ::ferro_idem::__private::error_reply(error),
//!         }
//!     }
//!     /* the body, untouched */
//! }
//! ```
//!
//! No value of the block lives into the body, so drop order, borrows and the future's size are those of the
//! plain function. A lock that the log's expression takes is released before a duplicate is answered. Each
//! result is bound to a name, because in edition 2021 the temporaries of a block's tail expression outlive
//! its bindings.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;

use super::Runtime;
use super::delivery::Delivery;
use super::reply::Replies;
use crate::handler::Body;

pub(super) fn expand(
    runtime: &Runtime,
    Delivery { filter, key, bind_log, bound_log, log_span, .. }: &Delivery,
    Replies { duplicate, error, .. }: &Replies,
    Body { items, statements, .. }: &Body,
) -> TokenStream {
    let here = Span::mixed_site();
    let fence = runtime.call("fence", *log_span);
    let entry = runtime.call("Entry", here);
    quote_spanned! {here=>
        #items
        {
            #filter
            let __ferro_idem_entry = {
                #key
                #bind_log
                let __ferro_idem_entry = #fence(#bound_log, __ferro_idem_key).await;
                __ferro_idem_entry
            };
            match __ferro_idem_entry {
                #entry::Run(()) => {}
                #entry::Duplicate => { #duplicate }
                #entry::Failed(__ferro_idem_error) => { #error }
            }
        }
        #statements
    }
}
