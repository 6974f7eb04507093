//! What the logs on SQL databases share.

mod sqlite;
mod table;

pub use self::sqlite::{SqliteLog, SqliteTransaction};
pub use self::table::InvalidTableName;
