//! What the attribute says about the replies of a handler.

use std::time::Duration;

use sha2::{Digest, Sha256};

/// The SHA-256 of `fingerprint = EXPR`.
pub(crate) type Fingerprint = [u8; 32];

/// What the attribute says about the replies of a handler.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    pub(crate) fingerprint: Option<Fingerprint>,
    pub(crate) keep: Duration,
}

impl Terms {
    #[inline]
    pub fn new(fingerprint: Option<Fingerprint>, keep: Duration) -> Self {
        Self { fingerprint, keep }
    }

    /// Whether a kept reply belongs to the same request. A reply that was kept without a fingerprint does.
    pub(crate) fn fit(&self, kept: Option<Fingerprint>) -> bool {
        match (self.fingerprint, kept) {
            (Some(now), Some(then)) => now == then,
            _ => true,
        }
    }
}

/// The fingerprint of a request.
pub fn fingerprint<B: AsRef<[u8]> + ?Sized>(request: &B) -> Fingerprint {
    Sha256::digest(request.as_ref()).into()
}

/// Checks at compile time that a constant `keep` keeps the reply at all.
///
/// # Panics
///
/// If it is zero: while the handler is compiled, because it is a constant.
pub const fn checked_keep(keep: Duration) -> Duration {
    assert!(!keep.is_zero(), "`keep` is zero: no reply would ever be replayed");
    keep
}
