//! One page of a purge.

use sqlx::mysql::MySqlConnection;
use sqlx::{AssertSqlSafe, Connection};

use super::begin_read_committed;
use crate::event_table::event_state::{PURGE_PAGE, PageEnd};
use crate::event_table::mysql::statements::Statements;

/// READ COMMITTED for this one delete: under REPEATABLE READ it would lock the gaps that new events are inserted into. Set
/// in one message with the begin that uses it up, so that it is left to nobody.
pub(super) async fn page(
    connection: &mut MySqlConnection,
    statements: &Statements,
    after: &PageEnd,
    older_than: i64,
) -> Result<Option<(PageEnd, u64)>, sqlx::Error> {
    // The server would compare a number with a time without an error, and take every row for an old one.
    if after.is_empty() {
        let kind: Option<String> = sqlx::query_scalar(AssertSqlSafe(statements.type_of_received_at.clone()))
            .fetch_optional(&mut *connection)
            .await?;
        if !kind.as_deref().is_some_and(|kind| matches!(kind, "datetime" | "timestamp" | "date")) {
            return Err(sqlx::Error::TypeNotFound { type_name: "received_at".to_owned() });
        }
    }
    let end: Option<Vec<u8>> = sqlx::query_scalar(AssertSqlSafe(statements.page_end.clone()))
        .bind(after)
        .bind(PURGE_PAGE)
        .fetch_one(&mut *connection)
        .await?;
    let Some(end) = end else { return Ok(None) };
    let begin = begin_read_committed(connection).await?;
    let mut transaction = connection.begin_with(begin).await?;
    let page = sqlx::query(AssertSqlSafe(statements.delete_page.clone()))
        .bind(after)
        .bind(&end)
        .bind(older_than)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(Some((end, page.rows_affected())))
}
