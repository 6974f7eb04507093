//! Replies in MySQL and MariaDB.

use sqlx::mysql::MySqlConnection;
use sqlx::{AssertSqlSafe, Connection, MySql};

use super::{begin_read_committed, bytes, fault, micros};
use crate::event_table::event_state::{Mark, PageEnd, StoredReply, in_order};
use crate::event_table::mysql::replies::ReplyStatements;
use crate::sql::reply_dialect::ReplyDialect;

impl ReplyDialect for MySql {
    type ReplyStatements = ReplyStatements;

    async fn replies(
        connection: &mut MySqlConnection,
        statements: &ReplyStatements,
        ids: &[&str],
    ) -> Result<Vec<Option<Vec<u8>>>, sqlx::Error> {
        let (text, rows) = statements.read.with(ids);
        let mut select = sqlx::query_as(AssertSqlSafe(text));
        for id in rows {
            select = select.bind(id.as_bytes());
        }
        let found: Vec<(Vec<u8>, Vec<u8>)> = select.fetch_all(connection).await?;
        Ok(in_order(ids, found))
    }

    /// The savepoint is only in the transaction that made the mark.
    async fn keep_in(
        connection: &mut MySqlConnection,
        statements: &ReplyStatements,
        mark: &Mark,
        reply: &StoredReply,
    ) -> Result<bool, sqlx::Error> {
        let renew = sqlx::raw_sql("RELEASE SAVEPOINT ferro_idem; SAVEPOINT ferro_idem");
        match renew.execute(&mut *connection).await {
            Ok(_) => {}
            Err(error) if fault::has_no_savepoint(&error) => return Ok(false),
            Err(error) => return Err(error),
        }
        let kept = sqlx::query(AssertSqlSafe(statements.keep_in.clone()))
            .bind(micros(reply.keep_millis))
            .bind(&*reply.bytes)
            .bind(mark.id.as_bytes())
            .bind(bytes(mark.owner))
            .execute(connection)
            .await?;
        Ok(kept.rows_affected() == 1)
    }

    async fn drop_reply(
        connection: &mut MySqlConnection,
        statements: &ReplyStatements,
        mark: &Mark,
    ) -> Result<(), sqlx::Error> {
        let drop_reply = sqlx::query(AssertSqlSafe(statements.drop.clone()));
        drop_reply.bind(mark.id.as_bytes()).bind(bytes(mark.owner)).execute(connection).await.map(drop)
    }

    /// READ COMMITTED, so that the gaps that new events are inserted into are not locked.
    async fn purge_replies(
        connection: &mut MySqlConnection,
        statements: &ReplyStatements,
        after: &PageEnd,
        end: &PageEnd,
    ) -> Result<u64, sqlx::Error> {
        let begin = begin_read_committed(connection).await?;
        let mut transaction = connection.begin_with(begin).await?;
        let purge = sqlx::query(AssertSqlSafe(statements.purge.clone())).bind(after).bind(end);
        let purged = purge.execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(purged.rows_affected())
    }
}
