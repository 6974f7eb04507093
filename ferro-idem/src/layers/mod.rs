//! Transactions for applications on other database layers than sqlx.
//!
//! The protocol inside a transaction is that of the logs over sqlx, with the same statements, rows and locks:
//! [`in_transaction`](crate::event_table::in_transaction). A layer implements its small traits for a connection
//! (`Connection`, `Session`), and says how a transaction begins: [`layer`].

#![cfg_attr(
    not(all(feature = "diesel-postgres", feature = "sea-orm", feature = "tokio-postgres")),
    allow(dead_code, reason = "each layer needs a part of this")
)]

mod begin;
mod code;
mod engine;
mod error;
mod layer;
mod log;
mod look;
mod statements;
mod table;
mod transaction;

#[cfg(feature = "_diesel")]
mod diesel;
#[cfg(feature = "sea-orm")]
mod sea_orm;
#[cfg(feature = "tokio-postgres")]
mod tokio_postgres;

#[cfg(feature = "diesel-mysql")]
pub use self::diesel::DieselMySqlLog;
#[cfg(feature = "diesel-postgres")]
pub use self::diesel::DieselPostgresLog;
pub use self::layer::DatabaseLayer;
pub use self::log::LayerLog;
#[cfg(feature = "sea-orm")]
pub use self::sea_orm::SeaOrmLog;
#[cfg(feature = "tokio-postgres")]
pub use self::tokio_postgres::{TokioPostgresConnection, TokioPostgresLog};
pub use self::transaction::LayerTransaction;
