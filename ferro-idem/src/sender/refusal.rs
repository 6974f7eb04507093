//! Logs refused deliveries.

use super::error::SignatureError;

#[cfg(feature = "tracing")]
thread_local! {
    /// Whether the verification that runs on this thread has logged its refusal. It does not wait, so it stays on the
    /// thread.
    static LOGGED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Logs why a delivery is refused.
#[cfg_attr(not(feature = "tracing"), expect(unused_variables, reason = "nothing is logged"))]
pub(crate) fn refused(sender: &'static str, error: SignatureError) -> SignatureError {
    #[cfg(feature = "tracing")]
    {
        LOGGED.set(true);
        tracing::warn!(target: "ferro_idem", sender, rule = error.rule(), %error, "signature refused");
    }
    error
}

/// Logs a refusal of a sender of the application's own, which does not log by itself.
#[cfg(feature = "tracing")]
pub(super) fn logged_once<T>(
    sender: &'static str,
    verify: impl FnOnce() -> Result<T, SignatureError>,
) -> Result<T, SignatureError> {
    LOGGED.set(false);
    verify().map_err(|error| if LOGGED.get() { error } else { refused(sender, error) })
}

#[cfg(not(feature = "tracing"))]
pub(super) fn logged_once<T>(
    _: &'static str,
    verify: impl FnOnce() -> Result<T, SignatureError>,
) -> Result<T, SignatureError> {
    verify()
}
