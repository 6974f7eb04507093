//! The store that a log is tested on.

use std::future::Future;
use std::ops::Deref;
use std::time::Duration;

use crate::transaction::TransactionalLog;

/// The type that a log's transaction lends to the body: a connection.
pub type Lent<L> = <<L as TransactionalLog>::Transaction as Deref>::Target;

/// An empty store that opens handles.
///
/// Every closure that opens a log implements it: `|| async { MyLog::connect(&url).await }`. Implement it for
/// a type of your own if the log survives a restart, has a purge or has transactions.
pub trait Store: Send + Sync {
    /// The log under test.
    type Log: Send + Sync + 'static;

    /// Opens a handle that is independent of earlier handles, as another process would: with a pool or a
    /// connection of its own.
    fn open(&self) -> impl Future<Output = Self::Log> + Send;

    /// Restarts the store. All handles were dropped before. Returns `false` if the log does not promise to
    /// survive a restart.
    fn restart(&self) -> impl Future<Output = bool> + Send {
        std::future::ready(false)
    }

    /// Purges events that are older than `older_than`, and returns their number. Returns `None` if the log
    /// has no purge.
    fn purge(&self, log: &Self::Log, older_than: Duration) -> impl Future<Output = Option<u64>> + Send {
        let _ = (log, older_than);
        std::future::ready(None)
    }

    /// Forgets a processed event by hand, as [`Operations::forget`](crate::operations::Operations::forget) does. Returns
    /// `false` if the log cannot.
    fn forget(&self, log: &Self::Log, event_id: &str) -> impl Future<Output = bool> + Send {
        let _ = (log, event_id);
        std::future::ready(false)
    }

    /// Writes an effect of the event through the transaction's connection, as a body does.
    fn write_effect(&self, lent: &mut Lent<Self::Log>, event_id: &str) -> impl Future<Output = ()> + Send
    where
        Self::Log: TransactionalLog,
    {
        let _ = (lent, event_id);
        std::future::ready(())
    }

    /// The number of effects of the event that other connections see. `None` if
    /// [`write_effect`](Self::write_effect) writes nothing.
    fn effects(&self, log: &Self::Log, event_id: &str) -> impl Future<Output = Option<u64>> + Send {
        let _ = (log, event_id);
        std::future::ready(None)
    }

    /// The number of bodies that the tables of the inbox hold: the rows of `webhook_inbox_body`. `None` if the log is no
    /// inbox, or if that cannot be counted.
    fn bodies(&self, inbox: &Self::Log) -> impl Future<Output = Option<u64>> + Send {
        let _ = inbox;
        std::future::ready(None)
    }

    /// Rolls the transaction back without the log, as a database does by itself after a deadlock. In SQL this
    /// is `ROLLBACK`. Returns `false` if that is impossible.
    fn roll_back_from_within(&self, lent: &mut Lent<Self::Log>) -> impl Future<Output = bool> + Send
    where
        Self::Log: TransactionalLog,
    {
        let _ = lent;
        std::future::ready(false)
    }
}

impl<F, Opening> Store for F
where
    F: Fn() -> Opening + Send + Sync,
    Opening: Future + Send,
    Opening::Output: Send + Sync + 'static,
{
    type Log = Opening::Output;

    fn open(&self) -> impl Future<Output = Self::Log> + Send {
        self()
    }
}
