//! A call of a log that fails because a test told it to.

use std::future::Future;

use super::Step;
use crate::error::Error;

/// When a call of a log fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fails {
    /// Before it reaches the store, which does not change.
    BeforeEffect,
    /// After the store has carried it out. Only its answer is lost.
    AfterEffect,
}

/// The result of the call. The outer error is what the test told the call to fail with.
///
/// A call that fails by itself fails with its own error.
pub(crate) async fn failing<T>(
    step: Step,
    fails: Option<Fails>,
    call: impl Future<Output = Result<T, Error>>,
) -> Result<Result<T, Error>, Error> {
    let told = |when| Error::store("reach the store", format!("the test made `{step}` fail {when}"));
    if fails == Some(Fails::BeforeEffect) {
        return Err(told("before it reached the store"));
    }
    let result = call.await;
    if fails == Some(Fails::AfterEffect) && result.is_ok() {
        return Err(told("after the store had carried it out"));
    }
    Ok(result)
}
