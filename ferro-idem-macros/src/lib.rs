//! The attribute of ferro-idem. Use it through `ferro_idem::idempotent_webhook`.
//!
//! `parse` what was written (`args`, `handler`), `validate` it, `expand` it. Each stage is a file;
//! everything that is logic at run time is in `ferro_idem::__private`.

mod args;
mod errors;
mod expand;
mod handler;
mod suggest;
mod validate;

#[cfg(test)]
mod snapshots;

use proc_macro2::TokenStream;
use quote::quote;

use crate::errors::Found;

/// Runs the body of an async handler at most once for each event.
///
/// Before the body, the event's id is recorded in a log. The first delivery goes on into the body;
/// a duplicate is answered without it. The check stands in the untouched function, so `?`,
/// `return`, drop order and compile errors are those of the function as written.
///
/// ```text
/// #[idempotent_webhook]
/// async fn on_event<L: ProcessedEventLog>(log: &L, event: StripeEvent) -> Result<(), AppError> {
///     ship_parcel(event).await
/// }
/// ```
///
/// # Arguments
///
/// `key = expression`, unquoted, in the scope of the parameters, evaluated by reference:
///
/// | argument | meaning | default |
/// |---|---|---|
/// | `log = EXPR` | the log, a `ProcessedEventLog` | the parameter named `log` |
/// | `event = EXPR` | the event, a `WebhookEvent` | the parameter named `event` |
/// | `event_id = EXPR` | in place of `event`: the id, an `AsRef<str>` | |
/// | `scope = "billing"` | a fence of this handler's own, where several share one log: the key is `billing:` and the id | the key is the id |
/// | `on_duplicate = EXPR` | the reply to a duplicate | `DuplicateReply` of the return type |
/// | `on_error = EXPR` | a function of `ferro_idem::Error`: the reply when the fence cannot be checked | `FromFenceError` of the return type |
/// | `crate = PATH` | the runtime crate, where it was renamed | `::ferro_idem` |
///
/// `scope` is 1 to 64 of `a-z`, `0-9`, `_` and `-`.
///
/// # Promises
///
/// The body runs at most once for each key. An `Err`, a panic, a dropped future or a crash after
/// the mark do not take the mark back: the event does not run again.
///
/// # Where it goes
///
/// On an `async fn`: free, method, or in a trait's implementation, also under `#[async_trait]`.
#[proc_macro_attribute]
pub fn idempotent_webhook(
    args: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    idempotent_webhook_tokens(args.into(), &item.into()).into()
}

/// On a mistake the item stays as it was written, so that its callers still find it and an editor
/// still completes in it; the errors, all of them, come after it. That its parameters are unused
/// then is no news.
fn idempotent_webhook_tokens(args: TokenStream, item: &TokenStream) -> TokenStream {
    let mut found = Found::default();
    let handler = found.take(handler::parse(item.clone()));
    let args = match &handler {
        Some(handler) => handler.in_body(args),
        None => args,
    };
    let args = args::parse(args, &mut found);
    let protection = validate::validate(args, handler.as_ref(), &mut found);
    match (handler, protection, found.errors()) {
        (Some(handler), Some(protection), None) => expand::expand(handler, protection),
        (_, _, errors) => quote!(#[allow(unused_variables)] #item #errors),
    }
}
