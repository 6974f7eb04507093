//! Connections whose server has not answered in time.

use std::sync::Arc;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{Connection, Pool};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::dialect::Dialect;

/// How long an answer is waited for, until the connection counts as dead.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// How long a connection that was replaced stays open for its answer. A statement whose last message was lost is not
/// committed, and keeps its row locked until the server sees that the connection is closed.
const MAX_OPEN: Duration = Duration::from_millis(500);

/// Counts statements that the server still works on, or waits for a lock with, after their callers gave up.
///
/// To close a connection does not end its statement at the server. If each attempt had a new connection, one lock on
/// the table would collect more and more of them there. So as many as the pool has connections are replaced by new
/// ones, and any others keep their places in the pool until the server answers.
#[derive(Debug)]
pub(super) struct Abandoned(Arc<Semaphore>);

impl Abandoned {
    pub(super) fn new<D: Dialect>(pool: &Pool<D>) -> Self {
        let max = usize::try_from(pool.options().get_max_connections()).unwrap_or(usize::MAX);
        Self(Arc::new(Semaphore::new(max.min(Semaphore::MAX_PERMITS))))
    }

    /// Closes the connection. If it is replaced, its statement counts until the server has answered, or surely has
    /// given the statement up. The answer belongs to no request.
    pub(super) fn add<D: Dialect>(&self, mut connection: PoolConnection<D>) {
        connection.close_on_drop();
        let Ok(runtime) = Handle::try_current() else { return };
        match Arc::clone(&self.0).try_acquire_owned() {
            Ok(permit) => {
                let mut connection = connection.detach();
                runtime.spawn(async move {
                    let is_answered = timeout(MAX_OPEN, connection.ping()).await.is_ok();
                    drop(connection);
                    if !is_answered {
                        sleep(MAX_WAIT).await;
                    }
                    drop(permit);
                });
            }
            Err(_) => {
                runtime.spawn(async move {
                    drop(timeout(MAX_WAIT, connection.ping()).await);
                    drop(connection);
                });
            }
        }
    }
}
