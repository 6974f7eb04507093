//! The table of processed events in each SQL database, whatever the driver: its name, its columns, the statements, and
//! what the database's errors mean.
//!
//! [`sql`](crate::sql) sends the statements through sqlx, and [`layers`](crate::layers) through the drivers of other
//! database layers. Both have the same rows and the same locks.

#![cfg_attr(
    not(all(
        feature = "_layers",
        feature = "inbox",
        feature = "mysql",
        feature = "postgres",
        feature = "sqlite"
    )),
    allow(dead_code, unreachable_pub, reason = "each log needs a part of this")
)]

pub(crate) mod check;
pub(crate) mod columns;
pub(crate) mod event_state;
pub(crate) mod fault;
pub(crate) mod in_transaction;
pub(crate) mod many;
pub(crate) mod name;

pub(crate) mod mysql;
pub(crate) mod postgres;
pub(crate) mod sqlite;
