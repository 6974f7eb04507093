//! The promises of every log, as tests for a log of your own.
//!
//! A [`Store`] opens handles to one store, as several processes would. [`tests!`] turns each case into a
//! test, so that `cargo test` lists them. Each test gets a store of its own, which has to be empty.
//!
//! ```
//! use std::collections::HashSet;
//! use std::sync::{Arc, Mutex};
//!
//! use ferro_idem::{Error, EventRef, ProcessedEventLog, async_trait};
//!
//! #[derive(Clone, Default)]
//! struct MyLog(Arc<Mutex<HashSet<String>>>);
//!
//! #[async_trait]
//! impl ProcessedEventLog for MyLog {
//!     async fn try_mark_processed(&self, event_id: &str) -> Result<bool, Error> {
//!         let event = EventRef::new(event_id)?; // refuses what no store could keep
//!         Ok(self.0.lock().unwrap().insert(event.id().to_owned()))
//!     }
//! }
//!
//! // In the tests of your crate. A closure that opens handles is a store.
//! ferro_idem::conformance::tests! {
//!     fence;
//!     store = {
//!         let log = MyLog::default();
//!         move || std::future::ready(log.clone())
//!     }
//! }
//! # // The same, run here: tests are not compiled into a documentation example.
//! # #[tokio::main]
//! # async fn main() {
//! #     let log = MyLog::default();
//! #     ferro_idem::conformance::fence(&move || std::future::ready(log.clone())).await;
//! # }
//! ```
//!
//! # Suites
//!
//! | suite | for a log that is | proves |
//! |---|---|---|
//! | [`fence`](fn@fence) | `ProcessedEventLog` | at most once |
//! | [`claims`](fn@claims) | `ClaimLog` | at least once, one at a time |
//! | [`transactions`](fn@transactions) | `TransactionalLog` | exactly once, with the effects |
//! | [`fence_with_claims`](fn@fence_with_claims) | both | what one guarantee recorded counts under the other |
//! | [`fence_with_transactions`](fn@fence_with_transactions) | both | the same |
//! | [`claims_with_transactions`](fn@claims_with_transactions) | both | the same |
//! | [`replay`](fn@replay) | `ClaimLog` and `ReplayLog` | a duplicate gets the first reply |
//! | [`replay_in_transactions`](fn@replay_in_transactions) | `ClaimLog` and `TransactionalReplayLog` | the same, with the effects |
//! | [`inbox`](fn@inbox) | an [`Inbox`](crate::Inbox), with its own pool and tables | never lost, with one worker at a time |
//!
//! Each function documents its cases, and runs them one after another on one empty store. Call it if `tests!`
//! does not fit.
//!
//! # What the cases rely on
//!
//! A case does not fail because a store is slow. It fails if an answer is wrong or does not come within
//! minutes. If a lease has to end, it is a few milliseconds long, and the case tries until it has ended. If
//! it must not end, it is ten minutes long.
//!
//! If a [`Store`] can write and count effects, transactions are tested with them. If it can count the bodies of an inbox,
//! the suite `inbox` looks whether they are deleted.
//!
//! Cases make concurrent calls on one handle, so a handle of a [`TransactionalLog`](crate::TransactionalLog) or an inbox
//! needs at least two connections.
//!
//! If a case fails, its message has the broken promise and the observation:
//!
//! ```text
//! the log broke its promise: of all concurrent deliveries of an event, exactly one is first.
//! What was seen: of 32 deliveries of "raced_0" at once, 2 were first
//! ```

mod breach;
mod cases;
mod delivering;
mod dropping;
mod ids;
mod random;
mod store;
mod suites;
#[cfg(all(feature = "inbox", any(feature = "mysql", feature = "postgres", feature = "sqlite")))]
#[allow(missing_docs)]
mod tested_inbox;

#[doc(hidden)]
pub use self::breach::run as __run;
#[doc(hidden)]
pub use self::dropping::drop_after_polls as __drop_after_polls;
pub use self::store::{Lent, Store};
pub use self::suites::*;
#[doc(hidden)]
#[cfg(all(feature = "inbox", any(feature = "mysql", feature = "postgres", feature = "sqlite")))]
pub use self::tested_inbox::{Ending, TestedInbox};
#[doc(inline)]
pub use crate::__conformance_tests as tests;

/// Makes one test of each case of the suites that are named.
///
/// ```
/// # use ferro_idem::{Error, ProcessedEventLog, async_trait};
/// # struct MyLog;
/// # #[async_trait]
/// # impl ProcessedEventLog for MyLog {
/// #     async fn try_mark_processed(&self, _: &str) -> Result<bool, Error> { Ok(true) }
/// # }
/// # async fn an_empty_database() -> String { String::new() }
/// # async fn connect(_: &str) -> MyLog { MyLog }
/// mod my_log {
///     # use super::*;
///     ferro_idem::conformance::tests! {
///         #[ignore = "needs a server"]
///         fence;
///         store = {
///             let url = an_empty_database().await;
///             move || {
///                 let url = url.clone();
///                 async move { connect(&url).await }
///             }
///         }
///     }
/// }
/// ```
///
/// The tests are named `my_log::fence::of_many_racers_one_is_first` and so on. Attributes before the suites
/// are put on every test. The expression is evaluated for each test, may await, and has to return an empty
/// [`Store`](crate::conformance::Store). In it, the constant `CASE` is the name of the case. The tests have
/// their own runtime.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_tests {
    ($(#[$($attribute:tt)*])* $($suite:ident),+ $(,)?; store = $store:expr $(;)?) => {
        $crate::__conformance_tests! { @suites [$(#[$($attribute)*])*] $store; $($suite)+ }
    };
    (@suites $attributes:tt $store:expr; $($suite:ident)+) => {
        $($crate::__conformance_cases! { $suite $crate::__conformance_suite_tests, { $attributes $store } })+
    };
}

/// Makes the tests of one suite, in a module with its name.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_suite_tests {
    ($passed:tt $suite:ident $bounds:tt $($case:ident $promise:literal,)+) => {
        mod $suite {
            #[allow(unused_imports, clippy::wildcard_imports)]
            use super::*;
            $($crate::__conformance_suite_tests! { @test $passed $suite $case })+
        }
    };
    (@test { [$(#[$($attribute:tt)*])*] $store:expr } $suite:ident $case:ident) => {
        #[test]
        $(#[$($attribute)*])*
        fn $case() {
            #[allow(dead_code)]
            const CASE: &str = stringify!($case);
            $crate::conformance::__run(async {
                let store = $store;
                $crate::conformance::$suite::$case(&store).await;
            });
        }
    };
}
