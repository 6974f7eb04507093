//! Wakes workers that found nothing: those of this process at once, those of others if the database can tell them.
//!
//! A wake-up can be lost, so workers poll as well.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::Pool;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::channel::Channel;
use super::dialect::InboxDatabase;
use crate::sql::TableName;

/// Deliveries that are stored within this time are told of together. A transaction that tells others takes a lock that
/// all of them share until its commit, so it is not that of the delivery: its commits would be synced one by one
/// (<https://www.postgresql.org/docs/current/sql-notify.html>).
const TELL_EVERY: Duration = Duration::from_millis(10);

/// How long telling may wait for a connection and its answer. The poll finds what is not told of.
const MAX_TELLING: Duration = Duration::from_secs(2);

/// How long after it failed a listener tries again.
const LISTEN_AGAIN_AFTER: Duration = Duration::from_secs(30);

/// How often a listener looks whether its inbox is still there.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The wake-ups of one inbox. Clones share them.
pub(super) struct Wakeup<D: InboxDatabase> {
    shared: Arc<Shared<D>>,
}

struct Shared<D: InboxDatabase> {
    woken: Arc<Notify>,
    channel: Channel,
    pool: Pool<D>,
    /// A pooler does not keep a session for a listener.
    has_pooler: bool,
    is_telling: AtomicBool,
    is_listening: AtomicBool,
}

impl<D: InboxDatabase> Wakeup<D> {
    pub(super) fn new(pool: &Pool<D>, table: &TableName, sender: &str, has_pooler: bool) -> Self {
        Self {
            shared: Arc::new(Shared {
                woken: Arc::default(),
                channel: Channel::new(table, sender),
                pool: pool.clone(),
                has_pooler,
                is_telling: AtomicBool::new(false),
                is_listening: AtomicBool::new(false),
            }),
        }
    }

    /// Wakes a worker of this process, and soon after those of others.
    pub(super) fn wake(&self) {
        self.shared.woken.notify_one();
        if !D::TELLS_OTHERS || self.shared.is_telling.swap(true, Ordering::AcqRel) {
            return;
        }
        let Ok(runtime) = Handle::try_current() else {
            self.shared.is_telling.store(false, Ordering::Release);
            return;
        };
        let shared = Arc::clone(&self.shared);
        runtime.spawn(async move {
            sleep(TELL_EVERY).await;
            // Before it is told: what is stored from now on is told of the next time.
            shared.is_telling.store(false, Ordering::Release);
            let _told = timeout(MAX_TELLING, D::tell(&shared.pool, &shared.channel)).await;
        });
    }

    /// Completes at the next wake-up since the last call returned.
    pub(super) async fn woken(&self) {
        self.listen();
        self.shared.woken.notified().await;
    }

    /// Listens to other processes from now on, until the inbox is dropped.
    fn listen(&self) {
        let is_alone = !D::TELLS_OTHERS || self.shared.has_pooler;
        if is_alone || self.shared.is_listening.swap(true, Ordering::AcqRel) {
            return;
        }
        let Ok(runtime) = Handle::try_current() else { return };
        let (inbox, woken) = (Arc::downgrade(&self.shared), Arc::clone(&self.shared.woken));
        let (pool, channel) = (self.shared.pool.clone(), self.shared.channel.clone());
        runtime.spawn(async move {
            let mut listening = Box::pin(async move {
                loop {
                    let _ended = D::listen(&pool, &channel, &woken).await;
                    sleep(LISTEN_AGAIN_AFTER).await;
                }
            });
            while inbox.strong_count() > 0 {
                let _looked: Result<(), _> = timeout(LOOK_EVERY, &mut listening).await;
            }
        });
    }
}
