//! Marks that were made, and whose row could not be read after that.

use ferro_idem::{MySqlLog, ProcessedEventLog};
use ferro_idem_tests::proxy::Proxy;
use ferro_idem_tests::servers::until;
use futures_util::future::join;
use sqlx::mysql::MySqlPoolOptions;

use super::rig::{InTable, OnMariaDb, Rig};

/// With a trigger, the log reads the row after the insert. The server refuses that here for want of a right, as it may
/// after it has left its cluster.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MariaDB: run tests/run"]
async fn a_mark_that_was_made_and_could_not_be_read_is_taken_back() {
    let rig = OnMariaDb::fresh().await;
    let other = rig.open(None).await;
    let run = async |statements: &'static str| {
        sqlx::raw_sql(statements).execute(other.pool()).await.unwrap();
    };
    run("CREATE TRIGGER t AFTER INSERT ON stripe_processed_events FOR EACH ROW SET @seen = 1").await;
    run("CREATE OR REPLACE USER unread; \
         GRANT SELECT, INSERT, UPDATE, DELETE, TRIGGER ON stripe_processed_events TO unread")
    .await;
    let proxy = Proxy::before(OnMariaDb::PROTOCOL, rig.server_port()).await;
    let url = proxy.url(&rig.url).replace("root@", "unread@");
    let log = MySqlLog::new(MySqlPoolOptions::new().connect_lazy(&url).unwrap());
    proxy.hold("SELECT CAST(owner <=> ?");
    let refuse = async {
        proxy.until_held().await;
        assert!(OnMariaDb::is_marked(&other, "evt_1").await, "its mark is there");
        run("REVOKE SELECT ON stripe_processed_events FROM unread").await;
        proxy.release();
    };
    let (marked, ()) = join(log.try_mark_processed("evt_1"), refuse).await;
    assert!(marked.unwrap_err().to_string().contains("GRANT SELECT"));
    run("GRANT SELECT ON stripe_processed_events TO unread").await;
    until("the next delivery is first", || async { other.try_mark_processed("evt_1").await.unwrap() }).await;
    assert!(!other.try_mark_processed("evt_1").await.unwrap());
}
