//! The cases, with a module for each suite. [`suites`](super::suites) has the promise of each case.

pub(super) mod claims;
pub(super) mod claims_with_transactions;
pub(super) mod fence;
pub(super) mod fence_with_claims;
pub(super) mod fence_with_transactions;
#[cfg(all(feature = "inbox", any(feature = "mysql", feature = "postgres", feature = "sqlite")))]
pub(super) mod inbox;
#[cfg(feature = "replay")]
pub(super) mod replay;
#[cfg(feature = "replay")]
pub(super) mod replay_in_transactions;
pub(super) mod transactions;
