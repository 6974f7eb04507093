//! The fence: a statement in front of the body.
//!
//! ```text
//! async fn on_event<L: ProcessedEventLog>(log: &L, event: StripeEvent) -> Result<(), AppError> {
//!     {
//!         let event = &event;
//!         let checked = ::ferro_idem::__private::fence(&log, ::ferro_idem::__private::event(event)).await;
//!         match checked {
//!             ::ferro_idem::__private::Entry::Run(()) => {}
//!             ::ferro_idem::__private::Entry::Duplicate => return ::ferro_idem::__private::duplicate_reply(),
//!             ::ferro_idem::__private::Entry::Failed(error) => return ::ferro_idem::__private::error_reply(error),
//!         }
//!     }
//!     /* the body, untouched */
//! }
//! ```
//!
//! A block of its own, so nothing of the check is alive in the body: drop order, borrows and the
//! future's size are those of the plain function. A `let` for each step: what the log's expression
//! locks is free again before `on_duplicate` runs.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;

use super::{Question, Replies, Runtime};

pub(super) fn expand(
    runtime: &Runtime,
    Question { read, log, key, site }: &Question,
    Replies { answer_duplicate, error_reply }: &Replies,
    body: &TokenStream,
) -> TokenStream {
    let here = Span::mixed_site();
    let ask = runtime.call("fence", *site);
    let entry = runtime.call("Entry", here);
    quote_spanned! {here=>
        {
            #read
            let checked = #ask(#log, #key).await;
            match checked {
                #entry::Run(()) => {}
                #entry::Duplicate => #answer_duplicate,
                #entry::Failed(error) => return #error_reply,
            }
        }
        #body
    }
}
