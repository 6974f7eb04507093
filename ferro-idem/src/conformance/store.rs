//! What a log is tested on.

use std::future::Future;
use std::ops::Deref;
use std::time::Duration;

use crate::transaction::TransactionalLog;

/// What a log's transaction lends to the body: a connection.
pub type Lent<L> = <<L as TransactionalLog>::Transaction as Deref>::Target;

/// A store that holds nothing yet, and gives handles on it.
///
/// Every closure that opens a log is one: `|| async { MyLog::connect(&url).await }`. Implement it for a
/// type of your own where the log survives a restart, has a purge or has transactions.
pub trait Store: Send + Sync {
    /// The log that is tested.
    type Log: Send + Sync + 'static;

    /// A handle that is independent of those before, as another process would have it: a pool of its
    /// own, a connection of its own.
    fn open(&self) -> impl Future<Output = Self::Log> + Send;

    /// Restarts what is behind the handles, which were all dropped. `false`, where the log does not say
    /// that it survives that.
    fn restart(&self) -> impl Future<Output = bool> + Send {
        std::future::ready(false)
    }

    /// Purges what is older than `older_than`, and says how many events that were. `None`, where the log
    /// has no purge.
    fn purge(&self, log: &Self::Log, older_than: Duration) -> impl Future<Output = Option<u64>> + Send {
        let _ = (log, older_than);
        std::future::ready(None)
    }

    /// Writes an effect of the event as a body does, through what the transaction lends to it.
    fn write_effect(&self, lent: &mut Lent<Self::Log>, event_id: &str) -> impl Future<Output = ()> + Send
    where
        Self::Log: TransactionalLog,
    {
        let _ = (lent, event_id);
        std::future::ready(())
    }

    /// How many effects of the event there are, for everybody. `None`, where
    /// [`write_effect`](Self::write_effect) writes none.
    fn effects(&self, log: &Self::Log, event_id: &str) -> impl Future<Output = Option<u64>> + Send {
        let _ = (log, event_id);
        std::future::ready(None)
    }

    /// Rolls the transaction back behind the log's back, as a database does by itself after a deadlock: in
    /// SQL, `ROLLBACK`. `false`, where that cannot be.
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
