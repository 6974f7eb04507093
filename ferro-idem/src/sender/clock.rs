//! The age of a signature.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::error::SignatureError;

/// The time that a signature's timestamp may differ from this machine's clock, both ways.
pub(super) fn check_age(seconds: u64, now: SystemTime, tolerance: Duration) -> Result<(), SignatureError> {
    let now = unix_seconds(now);
    let age = Duration::from_secs(now.saturating_sub(seconds));
    let ahead = Duration::from_secs(seconds.saturating_sub(now));
    if age > tolerance {
        Err(SignatureError::Stale { age, tolerance })
    } else if ahead > tolerance {
        Err(SignatureError::InFuture { ahead, tolerance })
    } else {
        Ok(())
    }
}

/// A time before 1970 counts as 1970.
pub(super) fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Digits only: `u64::from_str` takes a leading `+` too.
pub(super) fn parse_seconds(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}
