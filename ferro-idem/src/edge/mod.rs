//! What axum, actix-web and poem share: the answer to an error, and the replies that belong to none of them.

#[cfg(any(feature = "axum", feature = "poem"))]
mod http;
#[cfg(feature = "replay")]
pub(crate) mod replay;
#[cfg(feature = "sender")]
pub(crate) mod senders;
mod settle;

use bytes::Bytes;

#[cfg(feature = "axum")]
pub(crate) use self::http::KeepsStatus;
#[cfg(all(any(feature = "replay", feature = "sender"), any(feature = "axum", feature = "poem")))]
pub(crate) use self::http::status;
#[cfg(all(feature = "replay", any(feature = "axum", feature = "poem")))]
pub(crate) use self::http::{headers_of, kept_of, status_of};
use crate::error::{Error, whole_seconds};
use crate::key::IdBytes;

/// The largest body that an extractor reads, if the application sets no limit of its own. It is axum's default.
#[cfg(all(feature = "sender", any(feature = "actix-web", feature = "poem")))]
pub(crate) const MAX_BODY_BYTES: usize = 2 * 1024 * 1024;

/// The answer to a delivery that was not processed, without its status.
pub(crate) struct ErrorReply {
    /// `Retry-After` in whole seconds (RFC 9110, 10.2.3), rounded up so that the lease has ended by then.
    pub(crate) retry_after: Option<u64>,
    /// The text for the sender. It does not name the store, so log the error as well.
    pub(crate) line: String,
}

impl From<&Error> for ErrorReply {
    fn from(error: &Error) -> Self {
        Self {
            retry_after: error.retry_after().map(|wait| whole_seconds(wait).max(1)),
            line: match error {
                Error::Store { .. } => "the event could not be recorded, deliver it again later".to_owned(),
                Error::ReplyNotKept { .. } | Error::ReplyUnreadable { .. } => {
                    "the reply to this request is not available".to_owned()
                }
                _ => error.to_string(),
            },
        }
    }
}

/// Every sender takes a status outside 2xx for a failure, redirects included
/// (Stripe: <https://docs.stripe.com/webhooks#webhook-endpoint-def>).
pub(crate) const fn is_success(status: u16) -> bool {
    matches!(status, 200..=299)
}

impl IdBytes for Bytes {
    fn id_bytes(&self) -> &[u8] {
        self
    }
}

/// Implements `Settle` for types that a framework always answers with 200 or 204. `none` is
/// [`Settle::none_is_processed`].
macro_rules! settle_as_success {
    (none = $none:expr; $([$($generics:tt)*] $reply:ty),* $(,)?) => {$(
        /// Always processed: it is answered with a success.
        #[diagnostic::do_not_recommend]
        impl<$($generics)*> crate::reply::Settle for $reply {
            fn is_processed(&self) -> bool {
                true
            }

            fn none_is_processed() -> bool {
                $none
            }
        }
    )*};
    ($($replies:tt)*) => {
        crate::edge::settle_as_success! { none = true; $($replies)* }
    };
}
pub(crate) use settle_as_success;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn retry_after_is_whole_seconds_and_not_before_the_lease_end() {
        for (left, seconds) in [(0, 1), (1, 1), (1_000, 1), (1_001, 2), (2_000, 2), (2_500, 3)] {
            let error = Error::in_progress("evt_1", Duration::from_millis(left));
            assert_eq!(ErrorReply::from(&error).retry_after, Some(seconds), "{left} ms");
        }
        let endless = Error::in_progress("evt_1", Duration::MAX);
        assert_eq!(ErrorReply::from(&endless).retry_after, Some(u64::MAX));
        assert_eq!(ErrorReply::from(&Error::lease_lost("evt_1")).retry_after, None);
    }

    #[test]
    fn a_store_is_not_named_to_the_sender() {
        let reply = ErrorReply::from(&Error::store("mark", "table secrets is locked"));
        assert_eq!(reply.line, "the event could not be recorded, deliver it again later");
    }

    #[test]
    fn only_2xx_is_a_success() {
        let successes = (0..=u16::MAX).filter(|status| is_success(*status));
        assert!(successes.eq(200..300));
    }
}
