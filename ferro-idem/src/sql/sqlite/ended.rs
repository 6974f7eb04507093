//! Transactions that SQLite has rolled back by itself.
//!
//! It does so if the disk is full, or after an I/O error (<https://www.sqlite.org/lang_transaction.html>, "Response To
//! Errors Within A Transaction"). sqlx counts such a transaction as open for ever, because its own ROLLBACK fails: the
//! next one on that connection would be a savepoint, whose rollback ends nothing, or would be refused.

use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Sqlite};
use sqlx_core::database::Database;
use sqlx_core::transaction::TransactionManager;

/// Call it before a transaction begins.
pub(crate) async fn forget_ended_transaction(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    if !connection.is_in_transaction() {
        return Ok(());
    }
    // The rollback of a transaction that was dropped may be on its way.
    connection.ping().await?;
    if connection.is_in_transaction() {
        // Fails if a transaction is open all the same.
        sqlx::raw_sql("BEGIN").execute(&mut *connection).await?;
        <Sqlite as Database>::TransactionManager::rollback(connection).await?;
    }
    Ok(())
}
