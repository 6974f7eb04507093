//! The table of guarantees, cell by cell: what claim and transaction do after `Err`, panic, cancel
//! and crash, and to a second delivery meanwhile.

mod attempts;
mod blocking;
mod claim;
mod claim_handle;
mod killed;
mod lease;
mod mixed;
mod nested;
mod stores;
mod transaction;
