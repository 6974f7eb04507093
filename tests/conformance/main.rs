//! Every log of this crate keeps every promise that it makes, and every case detects a log that does not.
//!
//! `cargo run -p ferro-idem-tests --bin conformance_table` prints the table of logs and cases.

mod broken;
mod faulty;
mod faulty_inbox;
mod faulty_replies;
mod faulty_store;
mod faulty_transaction;
mod forgetting;
mod inboxes;
mod memory;
mod mysql;
mod postgres;
mod redis;
mod redis_cluster;
mod sqlite;
