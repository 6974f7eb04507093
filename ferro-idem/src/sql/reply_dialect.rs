//! The part of replies that differs between databases.

use std::future::Future;

use sqlx::Database;

use super::event_state::{Mark, PageEnd, StoredReply};

/// A part of [`Dialect`](super::dialect::Dialect). Its statements need the columns for replies.
#[allow(missing_docs)]
pub trait ReplyDialect: Database {
    /// The statements, written out for one table.
    type ReplyStatements: Send + Sync + 'static;

    /// For each event, the reply that is kept and has not expired.
    fn replies(
        connection: &mut Self::Connection,
        statements: &Self::ReplyStatements,
        ids: &[&str],
    ) -> impl Future<Output = Result<Vec<Option<Vec<u8>>>, sqlx::Error>> + Send;

    /// Keeps a reply in the transaction that made this mark. `false`: the mark is not there, or not of this transaction,
    /// and nothing is kept.
    fn keep_in(
        connection: &mut Self::Connection,
        statements: &Self::ReplyStatements,
        mark: &Mark,
        reply: &StoredReply,
    ) -> impl Future<Output = Result<bool, sqlx::Error>> + Send;

    /// Deletes a reply that a transaction has kept, after its commit.
    fn drop_reply(
        connection: &mut Self::Connection,
        statements: &Self::ReplyStatements,
        mark: &Mark,
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send;

    /// Deletes the replies that have expired after the first id, up to the second one, and returns their number.
    fn purge_replies(
        connection: &mut Self::Connection,
        statements: &Self::ReplyStatements,
        after: &PageEnd,
        end: &PageEnd,
    ) -> impl Future<Output = Result<u64, sqlx::Error>> + Send;
}
