//! `InnoDB` shows a commit to other sessions before it is in the log. A server that is killed in between forgets it.

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
    for nth in 0..MAX_REPLIES {
        until("its connections are at rest", || async { OnMariaDb::is_at_rest(&log) }).await;
        proxy.lose(nth, From::Server, Then::Close);
        assert!(log.try_mark_processed(&format!("evt_{nth}")).await.unwrap());
        if !proxy.has_lost() {
            break;
        }
    }
    let written = "SELECT count(*) FROM stripe_processed_events WHERE updated_at <> received_at";
    assert!(sqlx::query_scalar::<_, i64>(written).fetch_one(other.pool()).await.unwrap() > 0);
}
