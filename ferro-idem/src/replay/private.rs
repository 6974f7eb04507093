//! What the expansion of `replay` names.

pub use super::KEEP;
pub use super::claim::{ReplayGuard, claim_replaying, run_claimed_replaying};
pub use super::codecs::{Tag, rules as codecs};
pub use super::entry::{ReplayEntry, replay_kept};
pub use super::terms::{Terms, checked_keep, fingerprint};
pub use super::transaction::{OpenReplaying, OwnLog, begin_replaying, own_logs, settle_replaying};
