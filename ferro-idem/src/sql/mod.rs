//! What the logs on SQL databases share.

mod owner;
mod sqlite;
mod table;

pub use self::sqlite::SqliteLog;
pub use self::table::InvalidTableName;
