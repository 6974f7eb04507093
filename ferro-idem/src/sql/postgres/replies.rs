//! Replies in PostgreSQL.

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Postgres};

use super::uuid;
use crate::event_table::event_state::{Mark, PageEnd, StoredReply, in_order};
use crate::event_table::postgres::replies::ReplyStatements;
use crate::sql::reply_dialect::ReplyDialect;

impl ReplyDialect for Postgres {
    type ReplyStatements = ReplyStatements;

    async fn replies(
        connection: &mut PgConnection,
        statements: &ReplyStatements,
        ids: &[&str],
    ) -> Result<Vec<Option<Vec<u8>>>, sqlx::Error> {
        let [of_one, of_many] = &statements.read;
        if let [id] = ids {
            let read = sqlx::query_scalar(AssertSqlSafe(of_one.clone())).persistent(statements.persists);
            return Ok(vec![read.bind(*id).fetch_optional(connection).await?]);
        }
        let found: Vec<(String, Vec<u8>)> = sqlx::query_as(AssertSqlSafe(of_many.clone()))
            .persistent(statements.persists)
            .bind(ids)
            .fetch_all(connection)
            .await?;
        Ok(in_order(ids, found))
    }

    async fn keep_in(
        connection: &mut PgConnection,
        statements: &ReplyStatements,
        mark: &Mark,
        reply: &StoredReply,
    ) -> Result<bool, sqlx::Error> {
        let keep = sqlx::query(AssertSqlSafe(statements.keep_in.clone())).persistent(statements.persists);
        let keep = keep.bind(&*mark.id).bind(uuid(mark.owner)).bind(&*reply.bytes).bind(reply.keep_millis);
        Ok(keep.execute(connection).await?.rows_affected() == 1)
    }

    async fn drop_reply(
        connection: &mut PgConnection,
        statements: &ReplyStatements,
        mark: &Mark,
    ) -> Result<(), sqlx::Error> {
        let drop_reply = sqlx::query(AssertSqlSafe(statements.drop.clone())).persistent(statements.persists);
        drop_reply.bind(&*mark.id).bind(uuid(mark.owner)).execute(connection).await.map(drop)
    }

    async fn purge_replies(
        connection: &mut PgConnection,
        statements: &ReplyStatements,
        after: &PageEnd,
        end: &PageEnd,
    ) -> Result<u64, sqlx::Error> {
        let [after, end] = [after, end].map(|key| String::from_utf8_lossy(key));
        let purge = sqlx::query(AssertSqlSafe(statements.purge.clone())).persistent(statements.persists);
        Ok(purge.bind(&*after).bind(&*end).execute(connection).await?.rows_affected())
    }
}
