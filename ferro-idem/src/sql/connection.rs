//! Connections of the pool, with a limit for each wait for their server.

use std::future::{Future, poll_fn};
use std::ops::{Deref, DerefMut};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{ConnectOptions, Connection, Pool};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::dialect::Dialect;
use super::fault::is_of_server;
use crate::retry::answer_within;

/// An acquire that takes longer may have met a dead connection.
const SLOW: Duration = Duration::from_millis(500);

/// An idle connection that does not answer a ping in this time may be dead.
const PING_WITHIN: Duration = Duration::from_millis(500);

/// How long a new connection is waited for.
const OPEN_WITHIN: Duration = Duration::from_secs(2);

/// An idle connection that does not answer a ping in this time is given up, whatever else answers.
const MAX_PING: Duration = Duration::from_secs(3);

/// A connection of the pool. Dropped, it is returned if all that was asked on it was answered, and closed otherwise.
///
/// An answer that is still to come would be taken for that of a later request: sqlx-mysql 0.9 forgets a ping that was
/// dropped, so that the next insert of a duplicate would seem to go through. The caller says when it has
/// [answered](Self::answered_with).
///
/// sqlx tests a connection before it is returned, without a limit. If the server is gone without notice, the
/// connection would keep its place in the pool as long as the operating system waits, so this return has one.
#[derive(Debug)]
pub(super) struct PooledConnection<D: Dialect> {
    connection: Option<PoolConnection<D>>,
    /// An answer may be on its way.
    is_asked: bool,
}

impl<D: Dialect> PooledConnection<D> {
    pub(super) fn new(connection: PoolConnection<D>) -> Self {
        Self { connection: Some(connection), is_asked: false }
    }

    /// This was the answer to the last request. No other one is on its way, unless the driver could not read it.
    pub(super) fn answered_with<T>(&mut self, answer: &Result<T, sqlx::Error>) {
        if answer.as_ref().err().is_none_or(is_of_server) {
            self.is_asked = false;
        }
    }

    /// Whether it must not be used for another request. A connection without a network has no late answers, and may be
    /// all there is of a database in memory.
    pub(super) fn is_out_of_step(&self) -> bool {
        self.is_asked && D::ANSWERS_WITHIN.is_some()
    }

    /// Closes the connection instead of returning it.
    pub(super) fn close(self) {
        if let Some(mut connection) = self.into_inner() {
            connection.close_on_drop();
        }
    }

    /// Closes the connection without a word to its server, which does not answer. This frees its place in the pool
    /// at once. It must not be used after that.
    pub(super) fn close_now(&mut self) {
        if let Some(connection) = self.connection.take() {
            drop(connection.detach());
        }
    }

    /// Moves the connection out. What is left must not be used after that.
    pub(super) fn take(&mut self) -> Self {
        Self { connection: self.connection.take(), is_asked: self.is_asked }
    }

    pub(super) fn into_inner(mut self) -> Option<PoolConnection<D>> {
        self.connection.take()
    }
}

impl<D: Dialect> Deref for PooledConnection<D> {
    type Target = D::Connection;

    fn deref(&self) -> &D::Connection {
        let Some(connection) = &self.connection else { unreachable!("only its end takes it") };
        connection
    }
}

impl<D: Dialect> DerefMut for PooledConnection<D> {
    fn deref_mut(&mut self) -> &mut D::Connection {
        self.is_asked = true;
        let Some(connection) = &mut self.connection else { unreachable!("only its end takes it") };
        connection
    }
}

impl<D: Dialect> Drop for PooledConnection<D> {
    fn drop(&mut self) {
        if self.is_out_of_step() {
            self.close_now();
        }
        if let Some(limit) = D::ANSWERS_WITHIN
            && let Some(mut connection) = self.connection.take()
            && let Ok(runtime) = Handle::try_current()
        {
            let returned = connection.return_to_pool();
            runtime.spawn(async move { drop(timeout(limit, returned).await) });
        }
    }
}

/// Takes a connection from the pool.
///
/// sqlx tests an idle connection before it hands it out, and waits for that answer as long as for a free
/// connection. After a failover each idle connection is dead, so a slow acquire tests all others at once, and
/// begins again if some of them were.
pub(super) async fn acquire<D: Dialect>(pool: &Pool<D>) -> Result<PooledConnection<D>, sqlx::Error> {
    loop {
        let mut acquiring = pin!(pool.acquire());
        if D::ANSWERS_WITHIN.is_none() {
            return acquiring.await.map(PooledConnection::new);
        }
        if let Ok(acquired) = answer_within(Some(SLOW), &mut acquiring).await {
            return acquired.map(PooledConnection::new);
        }
        let mut closing = pin!(close_dead(pool));
        let mut are_closed = false;
        let acquired = poll_fn(|context| {
            if let Poll::Ready(acquired) = acquiring.as_mut().poll(context) {
                return Poll::Ready(Some(acquired));
            }
            if !are_closed && let Poll::Ready(closed) = closing.as_mut().poll(context) {
                are_closed = true;
                if closed > 0 {
                    return Poll::Ready(None);
                }
            }
            Poll::Pending
        });
        if let Some(acquired) = acquired.await {
            return acquired.map(PooledConnection::new);
        }
    }
}

/// Does so in the background.
pub(super) fn close_dead_later<D: Dialect>(pool: &Pool<D>) {
    if let Ok(runtime) = Handle::try_current() {
        let pool = pool.clone();
        runtime.spawn(async move { close_dead(&pool).await });
    }
}

/// Closes the idle connections that are dead, and counts them. Tests all at once.
///
/// A connection is dead if it does not answer while a new one, which is opened later, does. A busy server answers late
/// on both, and one that stands still on neither: its connections are still good, and many new ones at once would keep
/// it busy.
pub(super) async fn close_dead<D: Dialect>(pool: &Pool<D>) -> usize {
    let (later_one_answers, _) = watch::channel(());
    let mut tests = JoinSet::new();
    while let Some(connection) = pool.try_acquire() {
        tests.spawn(is_alive(connection, later_one_answers.subscribe()));
    }
    if tests.is_empty() {
        return 0;
    }
    let mut opening = pin!(async {
        sleep(PING_WITHIN).await;
        if timeout(OPEN_WITHIN, answers_on_new(pool)).await == Ok(true) {
            later_one_answers.send_replace(());
        }
    });
    let mut is_opening = true;
    let mut closed = 0;
    poll_fn(|context| {
        if is_opening && opening.as_mut().poll(context).is_ready() {
            is_opening = false;
        }
        while let Poll::Ready(is_alive) = tests.poll_join_next(context) {
            match is_alive {
                Some(is_alive) => closed += usize::from(is_alive.is_ok_and(|is_alive| !is_alive)),
                None => return Poll::Ready(closed),
            }
        }
        Poll::Pending
    })
    .await
}

/// Dropped, or if it is dead, it closes the connection, whose place is free at once: a graceful close would wait for the
/// server.
async fn is_alive<D: Dialect>(
    connection: PoolConnection<D>,
    mut later_one_answers: watch::Receiver<()>,
) -> bool {
    let mut connection = PooledConnection::new(connection);
    let is_alive = {
        let mut ping = pin!(timeout(MAX_PING, connection.ping()));
        let mut later_one_answers = pin!(later_one_answers.changed());
        poll_fn(|context| match ping.as_mut().poll(context) {
            Poll::Ready(answered) => Poll::Ready(answered.is_ok_and(|answered| answered.is_ok())),
            Poll::Pending => later_one_answers.as_mut().poll(context).map(|_| false),
        })
        .await
    };
    if is_alive {
        connection.answered_with(&Ok(()));
    }
    is_alive
}

async fn answers_on_new<D: Dialect>(pool: &Pool<D>) -> bool {
    let options = pool.connect_options();
    let Ok(mut connection) = options.connect().await else { return false };
    let answers = connection.ping().await.is_ok();
    drop(connection.close().await);
    answers
}
