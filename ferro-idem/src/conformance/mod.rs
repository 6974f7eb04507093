//! What every log promises, as tests for a log of your own.
//!
//! A [`Store`] gives handles on one store, as several processes have them. [`tests!`] makes a test of each
//! case, so that `cargo test` lists them; each test gets a store of its own, which has to be empty.
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
//!
//! Each function names its cases, and runs them one after another on one empty store; it is what to
//! call where `tests!` does not fit.
//!
//! # What the cases rely on
//!
//! Nothing has to be fast: a case never fails because a store is slow, only because an answer is wrong
//! or does not come within minutes. Where a lease has to run out it is a few milliseconds long and the
//! case asks until it did; where it must not, it is ten minutes long.
//!
//! Where a [`Store`] says how effects are written and counted, a log with transactions is tested with them.
//!
//! Several calls are under way on one handle: one of a [`TransactionalLog`](crate::TransactionalLog)
//! needs at least two connections.
//!
//! A case fails with the promise that was broken and with what was seen:
//!
//! ```text
//! the log broke its promise: of all deliveries of an event at once, exactly one is first.
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

#[doc(hidden)]
pub use self::breach::run as __run;
#[doc(hidden)]
pub use self::dropping::drop_after_polls as __drop_after_polls;
pub use self::store::{Lent, Store};
pub use self::suites::*;
#[doc(inline)]
pub use crate::__conformance_tests as tests;

/// One test for each case of the suites that are named.
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
/// The tests are `my_log::fence::of_many_racers_one_is_first` and so on. Attributes before the suites
/// go to every test. The expression is evaluated anew for each test, may await, and has to give
/// an empty [`Store`](crate::conformance::Store); the constant `CASE` in it is the name of the case. The tests bring their own runtime.
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

/// The tests of one suite, in a module of its name.
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
