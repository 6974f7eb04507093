//! Replies in SQLite.

use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Sqlite};

use super::purge;
use crate::event_table::event_state::{Mark, PageEnd, StoredReply, in_order};
use crate::event_table::sqlite::replies::ReplyStatements;
use crate::sql::reply_dialect::ReplyDialect;

impl ReplyDialect for Sqlite {
    type ReplyStatements = ReplyStatements;

    async fn replies(
        connection: &mut SqliteConnection,
        statements: &ReplyStatements,
        ids: &[&str],
    ) -> Result<Vec<Option<Vec<u8>>>, sqlx::Error> {
        let (text, rows) = statements.read.with(ids);
        let mut select = sqlx::query_as(AssertSqlSafe(text));
        for id in rows {
            select = select.bind(id);
        }
        let found: Vec<(String, Vec<u8>)> = select.fetch_all(connection).await?;
        Ok(in_order(ids, found))
    }

    /// The savepoint is only in the transaction that made the mark.
    async fn keep_in(
        connection: &mut SqliteConnection,
        statements: &ReplyStatements,
        mark: &Mark,
        reply: &StoredReply,
    ) -> Result<bool, sqlx::Error> {
        let renew = sqlx::raw_sql("RELEASE SAVEPOINT ferro_idem; SAVEPOINT ferro_idem");
        match renew.execute(&mut *connection).await {
            Ok(_) => {}
            // There is none.
            Err(sqlx::Error::Database(_)) => return Ok(false),
            Err(error) => return Err(error),
        }
        let kept = sqlx::query(AssertSqlSafe(statements.keep_in.clone()))
            .bind(&*mark.id)
            .bind(mark.owner.as_bytes().as_slice())
            .bind(&*reply.bytes)
            .bind(reply.keep_millis)
            .execute(connection)
            .await?;
        Ok(kept.rows_affected() == 1)
    }

    async fn drop_reply(
        connection: &mut SqliteConnection,
        statements: &ReplyStatements,
        mark: &Mark,
    ) -> Result<(), sqlx::Error> {
        let drop_reply = sqlx::query(AssertSqlSafe(statements.drop.clone()));
        drop_reply.bind(&*mark.id).bind(mark.owner.as_bytes().as_slice()).execute(connection).await.map(drop)
    }

    async fn purge_replies(
        connection: &mut SqliteConnection,
        statements: &ReplyStatements,
        after: &PageEnd,
        end: &PageEnd,
    ) -> Result<u64, sqlx::Error> {
        purge::replies(connection, &statements.purge, [after, end]).await
    }
}
