//! Poolers between this process and its server that give each transaction a session of its own, as `PgBouncer` does in
//! transaction mode.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use sqlx::Pool;
use tokio::time::timeout;

use super::connection::PooledConnection;
use super::dialect::Dialect;

/// Two connections lead to two sessions, or to one, or nobody has looked.
const NOT_KNOWN: u8 = 0;
const NO_POOLER: u8 = 1;
const POOLER_SEEN: u8 = 2;

/// How often two connections have to lead to two sessions. A busy pooler gives the next transaction another one, too.
const LOOKS: u32 = 8;

/// How long a look waits for a second connection.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// Whether there is a pooler that the log was not told of.
#[derive(Debug, Default)]
pub(super) struct UnknownPooler(AtomicU8);

impl UnknownPooler {
    pub(super) fn is_seen(&self) -> bool {
        self.0.load(Ordering::Relaxed) == POOLER_SEEN
    }

    pub(super) fn see(&self) {
        self.0.store(POOLER_SEEN, Ordering::Relaxed);
    }

    /// Whether two connections lead to one session of the server, one after the other. Looks until it is known.
    pub(super) async fn look<D: Dialect>(
        &self,
        pool: &Pool<D>,
        connection: &mut PooledConnection<D>,
    ) -> Result<bool, sqlx::Error> {
        if D::POOLER.is_empty() || self.0.load(Ordering::Relaxed) != NOT_KNOWN {
            return Ok(self.is_seen());
        }
        let other = match pool.try_acquire() {
            Some(other) => Some(other),
            None if pool.size() < pool.options().get_max_connections() => {
                timeout(MAX_WAIT, pool.acquire()).await.ok().and_then(Result::ok)
            }
            None => None,
        };
        let Some(other) = other else { return Ok(false) };
        let mut other = PooledConnection::new(other);
        for _ in 0..LOOKS {
            let sessions = (D::session_of(connection).await?, D::session_of(&mut other).await);
            other.answered_with(&sessions.1);
            if sessions.0 == sessions.1? {
                self.see();
                return Ok(true);
            }
        }
        // Another call may have seen one meanwhile.
        let _seen = self.0.compare_exchange(NOT_KNOWN, NO_POOLER, Ordering::Relaxed, Ordering::Relaxed);
        Ok(self.is_seen())
    }
}

/// A connection for one request, in a transaction of its own if a pooler stands between: a statement is prepared and
/// sent in two messages, which must reach the same session of the server.
///
/// If it is dropped before its end, the connection is not answered, and so is never used again: its transaction may be
/// open.
pub(super) struct Pinned<'a, D: Dialect> {
    connection: &'a mut PooledConnection<D>,
    has_pooler: bool,
}

impl<'a, D: Dialect> Pinned<'a, D> {
    pub(super) async fn begin(
        connection: &'a mut PooledConnection<D>,
        has_pooler: bool,
    ) -> Result<Self, sqlx::Error> {
        if has_pooler {
            D::run(connection, "BEGIN".to_owned()).await?;
        }
        Ok(Self { connection, has_pooler })
    }

    pub(super) fn connection(&mut self) -> &mut D::Connection {
        self.connection
    }

    /// Commits, or rolls back after an error. Returns this answer, if nothing happens to it.
    pub(super) async fn end<T>(self, answer: Result<T, sqlx::Error>) -> Result<T, sqlx::Error> {
        if self.has_pooler {
            let end = if answer.is_ok() { "COMMIT" } else { "ROLLBACK" };
            if let Err(error) = D::run(self.connection, end.to_owned()).await {
                return answer.and(Err(error));
            }
        }
        self.connection.answered_with(&answer);
        answer
    }
}
