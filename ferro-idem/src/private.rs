//! What the attribute's expansion names: re-exports only. They are not for users, and change without notice.

pub use std::boxed::Box;
pub use std::option::Option::{None, Some};
pub use std::primitive::bool;
pub use std::result::Result::{Err, Ok};
pub use std::string::String;

pub use crate::claim::{Guard, claim, run_claimed};
pub use crate::entry::Entry;
pub use crate::fence::{fence, run_fenced};
pub use crate::key::{IdProbe, OwnedKey, ScopeProbe, event, ids, owned, scoped, scoped_by, scopes};
pub use crate::lease_length::{DEFAULT_LEASE, checked_lease};
pub use crate::nesting::Site;
pub use crate::processed::{Probe, is_processed, is_processed_by, rules};
#[cfg(feature = "replay")]
pub use crate::replay::private::{
    KEEP, OpenReplaying, OwnLog, ReplayEntry, ReplayGuard, Tag, Terms, begin_replaying, checked_keep,
    claim_replaying, codecs, fingerprint, own_logs, replay_kept, run_claimed_replaying, settle_replaying,
};
pub use crate::reply::failure::{Failure, failures, untold};
pub use crate::reply::instead::{duplicate_reply, error_reply, error_reply_by};
pub use crate::transaction::{OpenTransaction, begin, run_in_transaction, settle_transaction};
