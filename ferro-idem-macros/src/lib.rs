//! The attribute of ferro-idem. Use it through `ferro_idem::idempotent_webhook`.
//!
//! The stages are a file each: parse what was written (`args`, `handler`), `validate` it, `expand` it.
//! `stages` goes through them. Everything that is logic at run time is in `ferro_idem::__private`.

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
/// It needs no framework: any `async fn` with a log and an event in reach will do, in an axum router, in
/// another framework, or in the consumer of a queue.
///
/// - Without an argument, the **fence**: the event's id is recorded before the body, which runs at most
///   once. The check stands in the untouched function, so `?`, `return`, drop order and compile errors
///   are those of the function as written.
/// - `claim(c)`: the event is claimed before the body and completed after it. If the body fails or
///   dies, the next delivery runs: at least once, one at a time.
/// - `transaction(tx)`: mark and effects are committed together after the body: exactly once.
///
/// ```
/// use std::time::Duration;
///
/// use ferro_idem::{Error, MemoryProcessedLog, ProcessedEventLog, SqliteLog, WebhookEvent, idempotent_webhook};
/// # async fn ship_parcel(_: impl WebhookEvent) -> Result<(), Error> { Ok(()) }
/// # struct Provider;
/// # impl Provider { async fn refund(&self, _: &str, _: String) -> Result<(), Error> { Ok(()) } }
///
/// #[idempotent_webhook]
/// async fn on_event<L: ProcessedEventLog>(log: &L, event: impl WebhookEvent) -> Result<(), Error> {
///     ship_parcel(event).await
/// }
///
/// struct Refunds {
///     log: MemoryProcessedLog,
///     provider: Provider,
/// }
///
/// impl Refunds {
///     #[idempotent_webhook(log = self.log, claim(c, lease = Duration::from_secs(120)))]
///     async fn refund(&self, event: &str) -> Result<(), Error> {
///         self.provider.refund(event, c.idempotency_key("refund")).await
///     }
/// }
///
/// #[idempotent_webhook(transaction(tx))]
/// async fn invoice_paid(log: &SqliteLog, event: &str) -> Result<(), Error> {
///     sqlx::query("INSERT INTO payments (invoice) VALUES (?)")
///         .bind(event)
///         .execute(&mut *tx)
///         .await
///         .map_err(|error| Error::store("store the payment", error))?;
///     Ok(())
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// let log = MemoryProcessedLog::new();
/// on_event(&log, "evt_1").await?; // ships
/// on_event(&log, "evt_1").await?; // ships nothing
/// # let app = Refunds { log, provider: Provider };
/// # app.refund("evt_2").await
/// # }
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
/// | `event_id = EXPR` | in place of `event`: the id | |
/// | `scope = "billing"` | a key of this handler's own, if several share one log: `billing:` and the id | the key is the id |
/// | `claim`, `claim(c)`, `claim(c, lease = EXPR)` | the guarantee; `c` is a `Claim` in the body | the fence; a lease of a minute |
/// | `transaction(tx)` | the guarantee; `tx` is `&mut` the open connection in the body | the fence |
/// | `only_if = EXPR` | a `bool`: if it is false, the delivery is answered and **not** marked | every delivery is for this handler |
/// | `on_ignored = EXPR` | the reply to what `only_if` leaves out | the reply to a duplicate by `DuplicateReply` |
/// | `on_duplicate = EXPR` | the reply to a duplicate | `DuplicateReply` of the return type |
/// | `on_error = EXPR` | a function of `ferro_idem::Error`: the reply if the guarantee cannot be given | `FromFenceError` of the return type |
/// | `processed = EXPR` | a function of `&` the reply, which returns whether it means that the event is processed; with `claim` and `transaction` | see below |
/// | `crate = PATH` | the runtime crate, if it was renamed | `::ferro_idem` |
///
/// `scope` is 1 to 64 of `a-z`, `0-9`, `_` and `-`.
///
/// `event_id` takes an `AsRef<str>`, bytes, with the feature `axum` also a `HeaderValue`, and an `Option` or a
/// `Result` of one of these: `event_id = headers.get("x-delivery-id")`. If there is none, or it is not text, the
/// reply is `Error::InvalidEventId` (400).
///
/// `only_if` comes first, then the event, then the log. What these expressions lock is free again before the log
/// is asked; only a log that is itself behind a lock keeps it locked until the mark is made.
///
/// ```
/// use ferro_idem::{Error, MemoryProcessedLog, Outcome, WebhookEvent, idempotent_webhook};
/// # struct Event { id: String, kind: String }
/// # impl WebhookEvent for Event {
/// #     fn event_id(&self) -> &str { &self.id }
/// #     fn event_type(&self) -> Option<&str> { Some(&self.kind) }
/// # }
///
/// /// Other events can still be handled later, by another handler or by a resend: they leave no mark.
/// #[idempotent_webhook(only_if = event.event_type() == Some("invoice.paid"), claim)]
/// async fn invoice_paid(log: &MemoryProcessedLog, event: Event) -> Result<Outcome<()>, Error> {
///     Ok(Outcome::Processed(drop(event)))
/// }
///
/// struct Foreign { status: u16 }
///
/// /// A reply of a type that ferro-idem does not know.
/// #[idempotent_webhook(
///     event = id,
///     claim,
///     processed = |reply| reply.as_ref().is_ok_and(|reply| reply.status == 200),
///     on_duplicate = Ok(Foreign { status: 200 }),
/// )]
/// async fn foreign(log: &MemoryProcessedLog, id: &str) -> Result<Foreign, Error> {
///     Ok(Foreign { status: 500 })
/// }
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// # let log = MemoryProcessedLog::new();
/// # let event = Event { id: "evt_1".into(), kind: "invoice.drafted".into() };
/// # invoice_paid(&log, event).await?;
/// # assert_eq!(log.len(), 0);
/// # foreign(&log, "evt_2").await?;
/// # assert_eq!(foreign(&log, "evt_2").await?.status, 500);
/// # Ok(()) }
/// ```
///
/// # Which replies mean "processed"
///
/// Under `claim` and `transaction` the reply decides. A reply of a type with `Settle` counts by it: a 2xx is a
/// success, every other status is not, in `Ok` too. Of other types, `Result`, `Outcome`, `Option` and `Box` are
/// looked into, up to three deep. What they hold is
///
/// - with the feature `axum`, any `IntoResponse` without `Settle`: it does not compile, because it may carry a
///   failure. Implement `Settle`, or write `processed = |reply| ..`.
/// - anything with a method `status()` whose result has `is_success()`, as the responses of other frameworks
///   have: it counts by that.
/// - any other value: an `Ok` of it is processed.
///
/// A panic, or a future that is dropped, is a failure.
///
/// # Drop order
///
/// Under the fence, that of the plain function. Under `claim` and `transaction` the body is an async
/// block: its locals and the parameters that it uses are dropped at its end, before the event is
/// settled; parameters that it does not use, at the function's end. `on_error` and `processed` are evaluated
/// after the body: they cannot use a parameter that the body moved.
///
/// # `Send`
///
/// Under `claim` and `transaction` the reply is kept while the event is settled. For a future that has to be
/// `Send`, as an axum handler's, the reply has to be `Send`, its error type included. The block of the body is
/// on the heap, so that the handler's future holds each argument as often as the plain function's.
///
/// # Where it goes
///
/// On an `async fn`: free, method, or in a trait's implementation, also under `#[async_trait]`. Once on a
/// function: a second one would take the first delivery for a duplicate, and does not compile.
///
/// Above an attribute that rewrites the `async fn` (`#[tokio::main]`, `#[async_recursion]`), and above axum's
/// `#[debug_handler]`: that one checks a copy of the function without its other attributes, where `c` and `tx` do
/// not exist.
#[proc_macro_attribute]
pub fn idempotent_webhook(
    args: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    stages::idempotent_webhook(args.into(), &item.into()).into()
}
