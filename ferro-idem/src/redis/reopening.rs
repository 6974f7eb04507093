//! A connection that is opened again when it has stopped answering.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{Cmd, Pipeline, RedisFuture, RedisResult, Value};
use tokio::time::{Instant, timeout};

/// Longer than a log waits for one answer.
const SILENT_AFTER: Duration = Duration::from_secs(5);

/// So many requests went without an answer since the last one: one alone may have been slow.
const SILENT_REQUESTS: u32 = 3;

/// How long the application has to open a connection.
const OPENS_WITHIN: Duration = Duration::from_secs(10);

/// A connection that is opened again when it has stopped answering.
///
/// A [`ClusterConnection`](redis::cluster_async::ClusterConnection) of redis 1.8 can stop for good while its nodes fail
/// over: what repairs a node waits for the same lock as what looks for the new primaries, and is not driven meanwhile.
/// From then on it answers nothing, and sends nothing, until the process ends. With this around it, the application's
/// function opens another one as soon as no request was answered for 5 seconds, and at least three were sent. That
/// happens in the background, one at a time, and takes at most 10 seconds. Until it has succeeded, requests go to the
/// old one.
///
/// A request fails as it does on the connection itself: the log repeats it, within its own deadline.
///
/// ```no_run
/// # async fn connect() -> Result<(), Box<dyn std::error::Error>> {
/// use ferro_idem::{RedisLog, ReopeningConnection};
/// use redis::cluster::ClusterClient;
///
/// let client = ClusterClient::new(["redis://node-1:6379", "redis://node-2:6379"])?;
/// let connection = ReopeningConnection::open(move || {
///     let client = client.clone();
///     async move { client.get_async_connection().await }
/// });
/// let log = RedisLog::new(connection.await?);
/// # Ok(()) }
/// ```
///
/// # Cancel safety
///
/// A dropped request has no effect on the others. A connection that is being opened is not given up with it.
pub struct ReopeningConnection<C> {
    shared: Arc<Shared<C>>,
}

type Open<C> = dyn Fn() -> RedisFuture<'static, C> + Send + Sync;

struct Shared<C> {
    open: Box<Open<C>>,
    current: Mutex<Current<C>>,
}

/// The connection in use, and what is known of it.
struct Current<C> {
    connection: C,
    /// How many there were before it.
    nth: u64,
    /// When the first request was sent after the last answer.
    unanswered_since: Option<Instant>,
    unanswered: u32,
    is_opening: bool,
}

impl<C> Clone for ReopeningConnection<C> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

/// Leaves the connection out: it may hold a password.
impl<C> fmt::Debug for ReopeningConnection<C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ReopeningConnection").finish_non_exhaustive()
    }
}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> ReopeningConnection<C> {
    /// Opens the first connection, and keeps the function for the next ones.
    ///
    /// # Errors
    ///
    /// What the function fails with.
    pub async fn open<F, Fut>(open: F) -> RedisResult<Self>
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = RedisResult<C>> + Send + 'static,
    {
        let current = Current {
            connection: open().await?,
            nth: 0,
            unanswered_since: None,
            unanswered: 0,
            is_opening: false,
        };
        let open = Box::new(move || -> RedisFuture<'static, C> { Box::pin(open()) });
        Ok(Self { shared: Arc::new(Shared { open, current: Mutex::new(current) }) })
    }

    /// The connection for a request that is sent now.
    fn connection(&self) -> (C, Sent<'_, C>) {
        let mut current = self.shared.current();
        let since = *current.unanswered_since.get_or_insert_with(Instant::now);
        let is_silent = current.unanswered >= SILENT_REQUESTS && since.elapsed() >= SILENT_AFTER;
        if is_silent && !current.is_opening {
            current.is_opening = true;
            tokio::spawn(reopen(Opening(Arc::clone(&self.shared))));
        }
        let sent = Sent { shared: &self.shared, nth: current.nth, is_answered: false };
        (current.connection.clone(), sent)
    }
}

impl<C> Shared<C> {
    fn current(&self) -> MutexGuard<'_, Current<C>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that is on its way. Dropped without an answer, it counts.
struct Sent<'s, C> {
    shared: &'s Shared<C>,
    nth: u64,
    is_answered: bool,
}

impl<C> Sent<'_, C> {
    /// Only the server's own errors are answers.
    fn hear<T>(mut self, answer: &RedisResult<T>) {
        self.is_answered = match answer {
            Ok(_) => true,
            Err(error) => !(error.is_timeout() || error.is_io_error() || error.is_unrecoverable_error()),
        };
    }
}

impl<C> Drop for Sent<'_, C> {
    fn drop(&mut self) {
        let mut current = self.shared.current();
        if current.nth != self.nth {
            return;
        }
        if self.is_answered {
            current.unanswered = 0;
            current.unanswered_since = None;
        } else {
            current.unanswered = current.unanswered.saturating_add(1);
        }
    }
}

/// Another connection is being opened, until this is dropped, also with its runtime.
struct Opening<C>(Arc<Shared<C>>);

impl<C> Drop for Opening<C> {
    fn drop(&mut self) {
        let mut current = self.0.current();
        current.is_opening = false;
        // The next one is opened after as long as this one.
        current.unanswered = 0;
        current.unanswered_since = None;
    }
}

async fn reopen<C: Send>(opening: Opening<C>) {
    if let Ok(Ok(connection)) = timeout(OPENS_WITHIN, (opening.0.open)()).await {
        let mut current = opening.0.current();
        current.connection = connection;
        current.nth += 1;
    }
}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> ConnectionLike for ReopeningConnection<C> {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            let (mut connection, sent) = self.connection();
            let answer = connection.req_packed_command(command).await;
            sent.hear(&answer);
            answer
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let (mut connection, sent) = self.connection();
            let answer = connection.req_packed_commands(pipeline, offset, count).await;
            sent.hear(&answer);
            answer
        })
    }

    fn get_db(&self) -> i64 {
        self.shared.current().connection.get_db()
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use redis::{ErrorKind, RedisError, cmd};

    use super::*;

    /// The first one answers twice, and then no more. The others say which one they are.
    #[derive(Clone)]
    struct Numbered {
        nth: i64,
        answered: Arc<AtomicUsize>,
    }

    impl ConnectionLike for Numbered {
        fn req_packed_command<'a>(&'a mut self, _: &'a Cmd) -> RedisFuture<'a, Value> {
            Box::pin(async move {
                if self.nth == 0 && self.answered.fetch_add(1, Ordering::SeqCst) >= 2 {
                    pending::<()>().await;
                }
                Ok(Value::Int(self.nth))
            })
        }

        fn req_packed_commands<'a>(
            &'a mut self,
            _: &'a Pipeline,
            _: usize,
            _: usize,
        ) -> RedisFuture<'a, Vec<Value>> {
            Box::pin(pending())
        }

        fn get_db(&self) -> i64 {
            0
        }
    }

    /// Opens one after the other. Those before `fails_until` fail, but the first.
    async fn opened(fails_until: i64) -> (ReopeningConnection<Numbered>, Arc<AtomicUsize>) {
        let opened = Arc::new(AtomicUsize::new(0));
        let number = Arc::clone(&opened);
        let connection = ReopeningConnection::open(move || {
            let nth = i64::try_from(number.fetch_add(1, Ordering::SeqCst)).unwrap();
            async move {
                if nth > 0 && nth < fails_until {
                    return Err(RedisError::from((ErrorKind::Io, "there is no server")));
                }
                Ok(Numbered { nth, answered: Arc::default() })
            }
        });
        (connection.await.unwrap(), opened)
    }

    /// As a log asks: it gives a request up after a while.
    async fn ask(connection: &ReopeningConnection<Numbered>) -> Option<i64> {
        let mut connection = connection.clone();
        let command = cmd("PING");
        let answer = timeout(Duration::from_secs(2), connection.req_packed_command(&command)).await;
        answer.ok().map(|answer| redis::from_redis_value(answer.unwrap()).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_no_longer_answers_is_opened_again() {
        let (connection, opened) = opened(0).await;
        assert_eq!([ask(&connection).await, ask(&connection).await], [Some(0), Some(0)]);
        for _ in 0..3 {
            assert_eq!(ask(&connection).await, None);
            assert_eq!(opened.load(Ordering::SeqCst), 1, "it may only be slow");
        }
        assert_eq!(ask(&connection).await, None, "it is opened meanwhile");
        assert_eq!(ask(&connection).await, Some(1));
        assert_eq!(opened.load(Ordering::SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_opened_until_that_succeeds_one_at_a_time() {
        let (connection, opened) = opened(3).await;
        let mut asked = 0;
        while ask(&connection).await != Some(3) {
            asked += 1;
            assert!(asked < 30, "it is never opened");
        }
        assert_eq!(opened.load(Ordering::SeqCst), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_is_slow_among_others_changes_nothing() {
        let (connection, opened) = opened(0).await;
        for _ in 0..10 {
            let mut slow = connection.clone();
            let pipeline = Pipeline::new();
            assert!(timeout(SILENT_AFTER, slow.req_packed_commands(&pipeline, 0, 0)).await.is_err());
            connection.shared.current().connection.answered.store(0, Ordering::SeqCst);
            assert_eq!(ask(&connection).await, Some(0));
        }
        assert_eq!(opened.load(Ordering::SeqCst), 1);
    }
}
