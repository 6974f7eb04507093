//! Transactions under READ COMMITTED.

use sqlx::mysql::MySqlConnection;

const IS_LOGGED_IN_STATEMENTS: &str =
    "SELECT CAST(@@GLOBAL.log_bin = 1 AND @@SESSION.binlog_format = 'STATEMENT' AS SIGNED)";

/// What begins a transaction under READ COMMITTED. A binary log in statements takes writes under REPEATABLE READ only
/// (1665).
pub(crate) async fn begin_read_committed(
    connection: &mut MySqlConnection,
) -> Result<&'static str, sqlx::Error> {
    let in_statements: i64 = sqlx::query_scalar(IS_LOGGED_IN_STATEMENTS).fetch_one(connection).await?;
    Ok(if in_statements == 1 {
        "START TRANSACTION"
    } else {
        "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; START TRANSACTION"
    })
}
