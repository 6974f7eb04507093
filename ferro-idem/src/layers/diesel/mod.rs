//! diesel-async, with its pool for deadpool.

mod error;
#[cfg(feature = "diesel-mysql")]
mod mysql;
#[cfg(feature = "diesel-postgres")]
mod postgres;
mod session;

#[cfg(feature = "diesel-mysql")]
pub use self::mysql::DieselMySqlLog;
#[cfg(feature = "diesel-postgres")]
pub use self::postgres::DieselPostgresLog;
