//! The cases, a module a suite. What each is for is said in [`suites`](super::suites).

pub(super) mod claims;
pub(super) mod claims_with_transactions;
pub(super) mod fence;
pub(super) mod fence_with_claims;
pub(super) mod fence_with_transactions;
pub(super) mod transactions;
