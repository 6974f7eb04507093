//! Transactions for applications on other database layers than sqlx.
//!
//! The protocol inside a transaction is that of the logs over sqlx, with the same statements, rows and locks. It is
//! written once, in [`compiled`] and [`transaction`], over a small trait that each layer implements: [`layer`].

mod compiled;
mod engine;
mod error;
mod layer;
mod log;
mod look;
mod table;
mod transaction;
mod value;

#[cfg(feature = "tokio-postgres")]
mod tokio_postgres;

pub use self::layer::DatabaseLayer;
pub use self::log::LayerLog;
#[cfg(feature = "tokio-postgres")]
pub use self::tokio_postgres::{TokioPostgresConnection, TokioPostgresLog};
pub use self::transaction::LayerTransaction;
