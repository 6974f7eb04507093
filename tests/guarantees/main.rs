//! The table of guarantees, cell by cell: claim and transaction after `Err`, panic, cancel and crash, and a
//! second delivery meanwhile.

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
