//! Every layer keeps the promises of a transaction, over the same rows and locks as the logs over sqlx.
//!
//! Each test gets a database of its own, on a server that the tests share.

mod databases;
mod diesel;
mod kit;
mod promises;
mod sea_orm;
mod sqlx;
mod tokio_postgres;
mod traps;
mod waits;
