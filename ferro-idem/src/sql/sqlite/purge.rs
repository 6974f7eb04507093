//! One page of a purge.

use std::sync::Arc;

use sqlx::AssertSqlSafe;
use sqlx::sqlite::SqliteConnection;

use crate::sql::event_state::{PURGE_PAGE, PageEnd};

/// Runs the statement that reads the page's last key, and the one that deletes the old rows of the page. `None`: there is
/// nothing after this key.
pub(crate) async fn page(
    connection: &mut SqliteConnection,
    [page_end, delete]: [&Arc<str>; 2],
    after: &[u8],
    older_than: i64,
) -> Result<Option<(PageEnd, u64)>, sqlx::Error> {
    let after = String::from_utf8_lossy(after);
    let end: Option<String> = sqlx::query_scalar(AssertSqlSafe(Arc::clone(page_end)))
        .bind(&*after)
        .bind(PURGE_PAGE)
        .fetch_one(&mut *connection)
        .await?;
    let Some(end) = end else { return Ok(None) };
    let page = sqlx::query(AssertSqlSafe(Arc::clone(delete)))
        .bind(&*after)
        .bind(&end)
        .bind(older_than)
        .execute(connection)
        .await?;
    Ok(Some((end.into_bytes(), page.rows_affected())))
}

/// Deletes the expired replies between these keys.
pub(crate) async fn replies(
    connection: &mut SqliteConnection,
    purge: &Arc<str>,
    keys: [&PageEnd; 2],
) -> Result<u64, sqlx::Error> {
    let [after, end] = keys.map(|key| String::from_utf8_lossy(key));
    let purge = sqlx::query(AssertSqlSafe(Arc::clone(purge))).bind(&*after).bind(&*end);
    Ok(purge.execute(connection).await?.rows_affected())
}
