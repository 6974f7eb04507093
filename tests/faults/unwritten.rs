//! `InnoDB` shows a commit to other sessions before it is in the log. A server that is killed in between forgets it.

use std::sync::atomic::{AtomicU32, Ordering};

use ferro_idem::ProcessedEventLog;
use ferro_idem_tests::proxy::{From, Proxy, Then};
use ferro_idem_tests::servers::until;

use super::rig::{OnMariaDb, Rig};

/// A call has at most so many replies. Whether the pool's ping is one of them depends on how long the connection rested.
const MAX_REPLIES: usize = 4;

/// A retry finds the mark of the attempt before it. Only its own write proves that this mark is in the log: otherwise
/// the event runs, is acknowledged, and runs again after the server was killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MariaDB: run tests/run"]
async fn a_mark_found_by_a_retry_is_written_again() {
    let rig = OnMariaDb::fresh().await;
    let proxy = Proxy::before(OnMariaDb::PROTOCOL, rig.server_port()).await;
    let (log, other) = (rig.open(Some(&proxy)).await, rig.open(None).await);
    assert!(log.try_mark_processed("warm").await.unwrap());
    let calls = AtomicU32::new(0);
    let written = "SELECT count(*) FROM stripe_processed_events WHERE updated_at <> received_at";
    // In some rounds only pings lose their replies: the pool sends one if a connection has rested.
    until("a mark was found by a retry, and written again", async || {
        for nth in 0..MAX_REPLIES {
            let call = calls.fetch_add(1, Ordering::Relaxed);
            until("its connections are at rest", || async { OnMariaDb::is_at_rest(&log) }).await;
            proxy.lose(nth, From::Server, Then::Close);
            assert!(log.try_mark_processed(&format!("evt_{call}")).await.unwrap());
            if !proxy.has_lost() {
                break;
            }
        }
        sqlx::query_scalar::<_, i64>(written).fetch_one(other.pool()).await.unwrap() > 0
    })
    .await;
}
