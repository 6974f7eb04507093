//! The report of a broken promise.

use std::error::Error as StdError;
use std::fmt::Write;
use std::future::Future;
use std::time::Duration;

use crate::error::Error;

/// An observation that the promise does not allow.
#[derive(Debug)]
pub(super) struct Breach(pub(super) String);

/// Whether a promise was kept.
pub(super) type Kept<T = ()> = Result<T, Breach>;

pub(super) fn check(kept: bool, seen: impl FnOnce() -> String) -> Kept {
    if kept { Ok(()) } else { Err(Breach(seen())) }
}

/// Passes a case about something that this log does not promise.
#[expect(clippy::unnecessary_wraps, reason = "it is the last word of a case")]
pub(super) fn not_promised(what: &str) -> Kept {
    println!("not promised by this log: {what}");
    Ok(())
}

/// No case waits for a lease or a body. If a store has not answered after this time, it never will.
const DEADLINE: Duration = Duration::from_mins(5);

/// Fails the test if the promise was broken.
pub(super) async fn hold(promise: &str, case: impl Future<Output = Kept>) {
    let kept = tokio::time::timeout(DEADLINE, case).await;
    let seen = match kept {
        Ok(Ok(())) => return,
        Ok(Err(Breach(seen))) => seen,
        Err(_) => format!("no answer within {DEADLINE:?}"),
    };
    #[expect(clippy::panic, reason = "this is how a test fails")]
    {
        panic!("the log broke its promise: {promise}.\nWhat was seen: {seen}");
    }
}

impl From<Error> for Breach {
    fn from(error: Error) -> Self {
        let mut seen = format!("the log failed: {error}");
        let mut source = StdError::source(&error);
        while let Some(cause) = source {
            // Writing into a string cannot fail.
            let _ = write!(seen, ": {cause}");
            source = cause.source();
        }
        Self(seen)
    }
}

/// Runs one test on a runtime of its own with several threads, so that calls really race.
///
/// # Panics
///
/// Panics if the promise is broken, or if the operating system cannot start threads.
#[expect(clippy::expect_used, reason = "without a runtime there is no test")]
pub fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .expect("a runtime for the test")
        .block_on(test);
}
