//! The nodes of a Galera cluster number their rows in steps, which change when a node is lost.

use futures_util::future::join_all;

use crate::databases::{Database, OnMySql, delivery, inbox, take};

/// Galera changes the step before a statement, in the middle of a transaction. A trigger does it here.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs MariaDB: run tests/run"]
async fn a_body_stays_with_its_event_when_a_node_is_lost() {
    let trigger = |of: &str, condition: &str| {
        format!(
            "CREATE TRIGGER lost AFTER INSERT ON {of} FOR EACH ROW
             SET SESSION auto_increment_increment = IF({condition}, 3, @@SESSION.auto_increment_increment)"
        )
    };
    for trigger in [
        // After the numbers were given, before the bodies are stored.
        trigger("webhook_inbox", "NEW.event_id LIKE '%last'"),
        // After the step was read.
        trigger("webhook_inbox_seen", "NEW.event_id LIKE '%last'"),
    ] {
        let database = OnMySql::fresh().await;
        let store = inbox(&database).await;
        OnMySql::run(&database.open().await, &trigger).await;
        // The first one is stored alone, and the others in one batch.
        let ids = (0..8).map(|n| format!("evt_{n}")).chain(["evt_last".to_owned()]);
        let received = join_all(ids.map(|id| {
            let store = store.clone();
            async move { store.receive(delivery(&id, None)).await }
        }));
        for received in received.await {
            received.unwrap();
        }
        let taken = take(&store, 20).await;
        assert_eq!(taken.len(), 9);
        for taken in taken {
            assert_eq!(taken.stored, taken.held.event_id.as_bytes());
        }
    }
}
