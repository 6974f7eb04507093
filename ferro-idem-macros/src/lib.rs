//! The attribute of ferro-idem. Use it through `ferro_idem::idempotent_webhook`.
//!
//! Each stage is a module: parse (`args`, `handler`), `validate`, `expand`. `stages` runs them in order. All
//! logic at run time is in `ferro_idem::__private`.

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
/// It needs no framework. It works on any `async fn` with a log and an event: in an axum router, in another
/// framework, or in the consumer of a queue.
///
/// - Without an argument, the **fence**: the event's id is recorded before the body, which runs at most once.
///   The check is inserted into the function, which stays as it is, so `?`, `return`, drop order and compile
///   errors are those of the function as written. Only with the feature `tracing`, which tells how a body
///   fails, the body is an async block.
/// - `claim(c)`: the event is claimed before the body and completed after it. If the body fails or the
///   process dies, the next delivery runs: at least once, one at a time.
/// - `transaction(tx)`: the mark and the effects are committed together after the body, so the effects happen
///   exactly once.
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
/// | `scope = EXPR` | a key of each tenant's own, over the parameters: `scope = user.id` | the key is the id |
/// | `claim`, `claim(c)`, `claim(c, lease = EXPR)` | the guarantee; `c` is a `Claim` in the body | the fence; a lease of a minute |
/// | `transaction(tx)` | the guarantee; `tx` is `&mut` the open connection in the body | the fence |
/// | `only_if = EXPR` | a `bool`: if it is false, the delivery is answered and **not** marked | every delivery is for this handler |
/// | `on_ignored = EXPR` | the reply to what `only_if` leaves out | the reply to a duplicate by `DuplicateReply` |
/// | `on_duplicate = EXPR` | the reply to a duplicate; with `replay`, to one whose reply is no longer kept | `DuplicateReply` of the return type; with `replay`, `Error::ReplyGone` |
/// | `on_error = EXPR` | a function of `ferro_idem::Error`: the reply if the guarantee cannot be given | `FromFenceError` of the return type |
/// | `processed = EXPR` | a function of `&` the reply, which returns whether it means that the event is processed; with `claim` and `transaction` | see below |
/// | `replay` | a duplicate gets the first reply again, with `claim` and `transaction`; see below | a duplicate gets `on_duplicate` |
/// | `fingerprint = EXPR` | with `replay`: what makes two requests the same, an `AsRef<[u8]>`, of which a SHA-256 is stored | every request under a key is the same |
/// | `keep = EXPR` | with `replay`: how long a reply is kept, a `Duration` | a day |
/// | `crate = PATH` | the runtime crate, if it was renamed | `::ferro_idem` |
///
/// A constant `scope` is 1 to 64 of `a-z`, `0-9`, `_` and `-`. As an expression it is anything that implements `Display`
/// (numbers, UUIDs, text) or `AsRef<str>`, and not empty. The key is then `~`, the scope with `%25` for `%` and `%3A` for
/// `:`, a `:` and the id, so that no two pairs of scope and id share a key. It has at most 255 bytes. Use it wherever
/// callers choose the ids: with an `Idempotency-Key`, one caller could read another's replies otherwise.
///
/// `event_id` takes an `AsRef<str>`, bytes, with the feature `axum` also a `HeaderValue`, and an `Option` or a
/// `Result` of one of these: `event_id = headers.get("x-delivery-id")`. If there is none, or it is not text, the
/// reply is `Error::InvalidEventId` (400).
///
/// `only_if` is evaluated first, then the event, then the log. Locks that these expressions take are released
/// before the log is called. Only if the log itself is inside a lock is that lock held until the mark is
/// made.
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
/// Under `claim` and `transaction` the reply decides. If its type implements `Settle`, that decides: a 2xx is
/// a success, and every other status is a failure, also inside an `Ok`. For other types, the attribute looks
/// inside `Result`, `Outcome`, `Option` and pointers, up to three deep. The value inside is one of these:
///
/// - With the feature `axum`, an `IntoResponse` without `Settle`. This does not compile, because the value
///   may be a failure. Implement `Settle`, or write `processed = |reply| ..`.
/// - A value with a method `status()` whose result has `is_success()`, such as the responses of other
///   frameworks; a value that has `is_success()` itself, such as a `StatusCode`; or a tuple that begins with
///   one of these. `is_success()` decides.
/// - Any other value. An `Ok` of it means "processed".
///
/// A panic, or a future that is dropped, is a failure.
///
/// # Replay
///
/// With the feature `replay` of `ferro-idem`, the reply of a request with an `Idempotency-Key` is committed with its effects,
/// and every retry gets it again:
///
/// ```text
/// #[idempotent_webhook(log = app.log, event = key, transaction(tx), replay, fingerprint = &body, scope = user.id)]
/// async fn charge(
///     State(app): State<App>,
///     user: User,
///     key: IdempotencyKey,
///     body: Bytes,
/// ) -> Result<(StatusCode, Json<Receipt>), AppError> { .. }
/// ```
///
/// The return type has to be readable again: `ferro_idem::replay::Replayable` lists what is, and
/// `ferro_idem::replay` says what each retry is answered. Under the fence, which marks the event before there is a reply,
/// `replay` does not compile. With `transaction(tx)`, the log is cloned if it can be.
///
/// # Drop order
///
/// Under the fence, the drop order is that of the plain function. With the feature `tracing` of `ferro-idem`
/// the fenced body is an async block too. Its parameters are still dropped in that order, but for a part of a
/// parameter that has no name, as in `Event { id, .. }`, if the attribute's arguments use the other parts. Under `claim` and `transaction` the body is
/// an async block. Its locals and the parameters that it uses are dropped at its end, before the event is
/// settled. Parameters that it does not use are dropped at the function's end. `on_error` and `processed` are
/// evaluated after the body, so they cannot use a parameter that the body has moved.
///
/// # `Send`
///
/// Under `claim` and `transaction` the reply is kept while the event is settled. If the future has to be
/// `Send`, as in an axum handler, the reply has to be `Send` as well, including its error type. The body's
/// block is on the heap, so that the handler's future stores each argument as often as the plain function's
/// future.
///
/// # Where it goes
///
/// The attribute goes on an `async fn`: a free function, a method, or a method in a trait's implementation,
/// also under `#[async_trait]`. It may be used once per function. A second attribute would treat the first
/// delivery as a duplicate, so it does not compile.
///
/// Put it above an attribute that rewrites the `async fn` (`#[tokio::main]`, `#[async_recursion]`), and above
/// axum's `#[debug_handler]`, which checks a copy of the function without its other attributes, where `c` and
/// `tx` do not exist.
#[proc_macro_attribute]
pub fn idempotent_webhook(
    args: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    let features = stages::Features { tracing: cfg!(feature = "tracing"), replay: cfg!(feature = "replay") };
    stages::idempotent_webhook(args.into(), &item.into(), features).into()
}
