//! A kit for the tests of your own handler.
//!
//! The logs of this crate are proved by its own tests. What they cannot prove is the handler: whether its effects are
//! after the check, are written through `tx`, or carry an idempotency key. The kit delivers an event to the handler in
//! every way in which deliveries go wrong, and counts the effects afterwards.
//!
//! ```
//! use std::cell::RefCell;
//! use std::collections::HashSet;
//!
//! use ferro_idem::testing::{self, HandlerTest};
//! use ferro_idem::{Error, MemoryProcessedLog, idempotent_webhook};
//!
//! /// The other system. It pays once for each idempotency key.
//! #[derive(Default)]
//! struct Bank(RefCell<HashSet<String>>);
//!
//! impl Bank {
//!     async fn pay(&self, idempotency_key: String) {
//!         self.0.borrow_mut().insert(idempotency_key);
//!         tokio::task::yield_now().await; // as a network would: a delivery may end here
//!     }
//! }
//!
//! #[idempotent_webhook(claim(c))]
//! async fn refund(log: &MemoryProcessedLog, event: &str, bank: &Bank) -> Result<(), Error> {
//!     bank.pay(c.idempotency_key("refund")).await;
//!     Ok(())
//! }
//!
//! struct Refund {
//!     log: MemoryProcessedLog,
//!     bank: Bank,
//! }
//!
//! impl HandlerTest for Refund {
//!     async fn new() -> Self {
//!         Self { log: MemoryProcessedLog::new(), bank: Bank::default() }
//!     }
//!
//!     async fn deliver(&self) -> bool {
//!         refund(&self.log, "evt_1", &self.bank).await.is_ok()
//!     }
//!
//!     async fn effects(&self) -> usize {
//!         self.bank.0.borrow().len()
//!     }
//! }
//!
//! // In a `#[test]`:
//! testing::check::<Refund>().assert_passed();
//! ```
//!
//! # Cases
//!
//! | case | what happens to the first delivery | afterwards |
//! |---|---|---|
//! | `once` | nothing | |
//! | `twice` | nothing | the event is delivered again |
//! | `overlapping-W` | at its wait W the event is delivered again, and both continue | |
//! | `dropped-W` | it is dropped at its wait W, as if the sender hung up | delivered until it is accepted |
//! | `panicked-W` | it panics there | the same |
//! | `failed-N-before`, `failed-N-after` | the N-th call of the log fails, before or after it took effect | the same |
//! | `taken-over-W` (claim) | at its wait W its process stops until the lease has ended | another delivery runs, then the first continues |
//!
//! W says which wait: `after-1-at-2` is the second wait after the first call of the log, which is in the body, and
//! `in-2-at-1` is the first wait within the second call. So the body is disturbed at each of its waits, however often its
//! log waits this time.
//!
//! After each case the effects are counted. The right number is 1. Under the fence, 0 is right as well if the first
//! delivery did not end well, because the fence promises at most once.
//!
//! # What the cases rely on
//!
//! - **Any log of this crate works**, [`MemoryProcessedLog`](crate::MemoryProcessedLog) and
//!   [`SqliteLog`](crate::SqliteLog) without a server. The kit makes the attribute's calls of the log yield and fail.
//!   The inbox is not covered.
//! - **A wait is an `await` that is not ready at once.** A fake that never waits leaves no moment at which a delivery
//!   could end. Let fakes await [`tokio::task::yield_now`].
//! - **The clock is tokio's, and is paused**: a handler that sleeps for a minute takes no minute. Leases are
//!   half a second long. Logs in a database measure them on a real clock, so a case that lets one end takes so long.
//! - **A delivery that panics** is one that failed, as it is for a server, and the event is delivered again.
//! - Each case has a thread and a runtime of its own, with one worker.
//!
//! # What else a test needs
//!
//! | for | use |
//! |---|---|
//! | a log that fails in one call, before or after its effect | [`FailingLog`] |
//! | the claim that a body under `claim(c)` gets | [`Claim::for_test`](crate::Claim::for_test) |
//! | the errors that the attribute answers with | [`Error::in_progress`](crate::Error::in_progress), [`Error::lease_lost`](crate::Error::lease_lost), [`Error::store`](crate::Error::store) |
//! | a signed delivery | `sign` of the sender: `StripeWebhook::sign`, `GithubWebhook::sign` and so on |

mod case;
mod clock;
mod delivery;
mod failing_log;
mod report;
mod run;
mod wait;

use std::future::Future;

use self::case::{Case, Kind};
pub use self::failing_log::{FailingLog, FailingTransaction};
pub use self::report::{Finding, Problem, Report};
use self::run::{Course, Guarantee, Outcome, run};
pub use crate::steps::Step;
pub use crate::steps::failing::Fails;

/// The most waits at which a delivery is disturbed.
const MAX_WAITS: usize = 200;

/// A handler with all that it touches: its log, an event and the systems in which its effects happen.
///
/// [`check`] makes one of these for each case. The module has an example.
pub trait HandlerTest: Sized + 'static {
    /// Makes an empty log and empty fakes, in which the event has never been seen.
    fn new() -> impl Future<Output = Self>;

    /// Delivers the event to the handler, as the sender would. It is the same event at each call.
    ///
    /// Returns whether the sender would take the reply as a success: `reply.is_ok()`, `reply.status().is_success()`.
    fn deliver(&self) -> impl Future<Output = bool>;

    /// Counts how often the effect of the event has happened.
    fn effects(&self) -> impl Future<Output = usize>;
}

/// Runs all cases, and reports those that failed.
///
/// If the environment variable `FERRO_IDEM_CASE` names a case, only that one runs. A failure says its case's name.
///
/// # Panics
///
/// If `new` or `effects` panics. A delivery that panics is one that failed.
///
/// ```
/// # use ferro_idem::testing::{self, HandlerTest};
/// # use ferro_idem::{Error, MemoryProcessedLog, idempotent_webhook};
/// # use std::cell::Cell;
/// struct Ship(MemoryProcessedLog, Cell<usize>);
///
/// #[idempotent_webhook]
/// async fn ship(log: &MemoryProcessedLog, event: &str, shipped: &Cell<usize>) -> Result<(), Error> {
///     shipped.set(shipped.get() + 1);
///     Ok(())
/// }
///
/// impl HandlerTest for Ship {
///     async fn new() -> Self {
///         Self(MemoryProcessedLog::new(), Cell::new(0))
///     }
///     async fn deliver(&self) -> bool {
///         ship(&self.0, "evt_1", &self.1).await.is_ok()
///     }
///     async fn effects(&self) -> usize {
///         self.1.get()
///     }
/// }
///
/// let report = testing::check::<Ship>();
/// assert!(report.findings().is_empty(), "{report}");
/// ```
#[must_use = "a report says what failed: call `assert_passed`"]
pub fn check<T: HandlerTest>() -> Report {
    let only = std::env::var("FERRO_IDEM_CASE").ok();
    let mut report = Report::new(std::any::type_name::<T>());
    let undisturbed = run::<T>(Case::new(Kind::Once));
    let guarantee = undisturbed.guarantee();
    report.record(Case::new(Kind::Once), guarantee, &undisturbed);
    // What fails without a disturbance fails with one. The other cases would say the same again.
    if !report.findings().is_empty() {
        return report;
    }
    for case in cases(&undisturbed, guarantee) {
        if only.as_ref().is_none_or(|only| *only == case.name()) {
            let outcome = run::<T>(case);
            report.record(case, guarantee, &outcome);
            if outcome.course == Course::Blocked {
                break;
            }
        }
    }
    report
}

fn cases(undisturbed: &Outcome, guarantee: Option<Guarantee>) -> Vec<Case> {
    let waits = undisturbed.waits.iter().copied().take(MAX_WAITS);
    let mut kinds = vec![Kind::Twice];
    kinds.extend(waits.clone().map(Kind::Overlapping));
    kinds.extend(waits.clone().map(Kind::Dropped));
    kinds.extend(waits.clone().map(Kind::Panicked));
    // A handler that sleeps for long is renewed often, and each renewal is like the first one.
    let first_renewal = undisturbed.seen.iter().position(|seen| seen.step == Step::Renew);
    for (position, seen) in undisturbed.seen.iter().enumerate() {
        if seen.step == Step::Renew && Some(position) != first_renewal {
            continue;
        }
        kinds.extend([Fails::BeforeEffect, Fails::AfterEffect].map(|fault| Kind::Failed(position, fault)));
    }
    if guarantee == Some(Guarantee::Claim) {
        kinds.extend(waits.map(Kind::TakenOver));
    }
    kinds.into_iter().map(Case::new).collect()
}
