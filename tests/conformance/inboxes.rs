//! The inbox over each SQL log, beside the log's own tables.

use ferro_idem::conformance::Store;
use ferro_idem::sender::github::GithubWebhook;
use ferro_idem::{Inbox, InboxDatabase, SqlLog};

/// The store of a log, as the store of an inbox.
pub(crate) struct InboxIn<S>(pub(crate) S);

impl<D: InboxDatabase, S: Store<Log = SqlLog<D>>> Store for InboxIn<S> {
    type Log = Inbox<D, GithubWebhook>;

    async fn open(&self) -> Self::Log {
        let inbox = Inbox::new(self.0.open().await, GithubWebhook::new("kit"));
        inbox.create_tables().await.unwrap();
        inbox
    }

    async fn restart(&self) -> bool {
        self.0.restart().await
    }

    async fn bodies(&self, _: &Self::Log) -> Option<u64> {
        self.0.bodies(&self.0.open().await).await
    }
}

/// Their number.
pub(crate) const BODIES: &str = "SELECT count(*) FROM webhook_inbox_body";
