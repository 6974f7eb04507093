//! The replies of deliveries whose body does not run.

use super::{DuplicateReply, FromFenceError};
use crate::error::Error;

#[inline]
pub fn duplicate_reply<R: DuplicateReply>() -> R {
    R::duplicate_reply()
}

#[inline]
pub fn error_reply<R: FromFenceError>(error: Error) -> R {
    R::from_fence_error(error)
}

/// Calls `on_error`. Because of the bound, a closure need not name its argument's type.
#[inline]
pub fn error_reply_by<R, F: FnOnce(Error) -> R>(on_error: F, error: Error) -> R {
    on_error(error)
}
