//! The attribute of ferro-idem. Use it through `ferro_idem::idempotent_webhook`.
//!
//! `parse` what was written (`args`, `handler`), `validate` it, `expand` it. Each stage is a file, and
//! `stages` goes through them; everything that is logic at run time is in `ferro_idem::__private`.

#![forbid(unsafe_code)]

mod args;
mod errors;
mod expand;
mod handler;
mod stages;
mod suggest;
mod validate;

#[cfg(test)]
mod mistakes;
#[cfg(test)]
mod snapshots;

/// Makes an async webhook handler safe to deliver twice.
///
/// - Without an argument, the **fence**: the event's id is recorded before the body, which runs at most
///   once. The check stands in the untouched function, so `?`, `return`, drop order and compile errors
///   are those of the function as written.
/// - `claim(c)`: the event is claimed before the body and completed after it. Where the body fails or
///   dies, the next delivery runs: at least once, one at a time.
/// - `transaction(tx)`: mark and effects are committed together after the body: exactly once.
///
/// ```text
/// #[idempotent_webhook]
/// async fn on_event<L: ProcessedEventLog>(log: &L, event: StripeEvent) -> Result<(), AppError> {
///     ship_parcel(event).await
/// }
///
/// #[idempotent_webhook(log = self.log, claim(c, lease = Duration::from_secs(120)))]
/// async fn refund(&self, event: StripeEvent) -> Result<(), AppError> {
///     self.stripe.refund(&event, c.idempotency_key("refund")).await
/// }
///
/// #[idempotent_webhook(log = app.log, transaction(tx))]
/// async fn invoice_paid(State(app): State<App>, event: StripeEvent) -> Result<StatusCode, AppError> {
///     sqlx::query("UPDATE accounts SET ..").execute(&mut *tx).await?;
///     Ok(StatusCode::OK)
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
/// | `claim`, `claim(c)`, `claim(c, lease = EXPR)` | the guarantee; `c` is a `Claim` in the body | the fence; a lease of a minute |
/// | `transaction(tx)` | the guarantee; `tx` is `&mut` the open connection in the body | the fence |
/// | `on_duplicate = EXPR` | the reply to a duplicate | `DuplicateReply` of the return type |
/// | `on_error = EXPR` | a function of `ferro_idem::Error`: the reply when the fence cannot be checked | `FromFenceError` of the return type |
/// | `crate = PATH` | the runtime crate, where it was renamed | `::ferro_idem` |
///
/// `scope` is 1 to 64 of `a-z`, `0-9`, `_` and `-`.
///
/// # What settles a claim or a transaction
///
/// The reply. By `Settle` where its type has it: a 2xx is a success, a 4xx or 5xx is not, in `Ok` too.
/// Any other `Result` counts by `is_ok()`. A panic, or a future that is dropped, is a failure.
///
/// # Drop order
///
/// Under the fence, that of the plain function. Under `claim` and `transaction` the body is an async
/// block: its locals and the parameters that it uses are dropped at its end, before the event is
/// settled; parameters that it does not use, at the function's end.
///
/// # Where it goes
///
/// On an `async fn`: free, method, or in a trait's implementation, also under `#[async_trait]`.
///
/// Above axum's `#[debug_handler]`, not below it: that one checks a copy of the function without its
/// other attributes, where `c` and `tx` do not exist.
///
/// `on_error` is called after the body: under `claim` and `transaction` it cannot use a parameter that
/// the body moved.
#[proc_macro_attribute]
pub fn idempotent_webhook(
    args: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    stages::idempotent_webhook(args.into(), &item.into()).into()
}
