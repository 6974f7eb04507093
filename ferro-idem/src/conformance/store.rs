//! What a log is tested on.

use std::future::Future;
use std::time::Duration;

/// A store that holds nothing yet, and gives handles on it.
///
/// Every closure that opens a log is one: `|| async { MyLog::connect(&url).await }`. Implement it for a
/// type of your own where the log survives a restart or has a purge.
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
