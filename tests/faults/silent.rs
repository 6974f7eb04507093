//! Connections on which nothing comes any more, and nobody is told: a failover, a firewall.

use std::time::Duration;

use ferro_idem::{EventRef, MarkOutcome, ProcessedEventLog, TransactionalLog};
use ferro_idem_tests::proxy::{From, Proxy, Then};
use ferro_idem_tests::servers::until;
use tokio::time::timeout;

use super::rig::{OnMariaDb, OnPostgres, Rig};

/// How long a call asks its store.
const DEADLINE: Duration = Duration::from_secs(10);

/// sqlx's pool waits for an answer on each connection that comes back, for as long as the operating system
/// does: until then a pool of a few connections has none for the next delivery.
async fn transactions_give_their_connections_up<R: Rig>()
where
    R::Log: TransactionalLog,
{
    let rig = R::fresh().await;
    let proxy = Proxy::before(R::PROTOCOL, rig.server_port()).await;
    let log = rig.open(Some(&proxy)).await;
    for end in ["drop", "commit", "roll back", "mark"] {
        // As many as the pool has connections.
        let mut open = Vec::new();
        for event in [1, 2].map(|number| format!("evt_{end}_{number}")) {
            let mut transaction = log.begin().await.unwrap();
            let outcome = log.try_mark_in(&mut transaction, EventRef::new(&event).unwrap()).await.unwrap();
            assert_eq!(outcome, MarkOutcome::First);
            open.push((event, transaction));
        }
        let mut events = Vec::new();
        for (event, mut transaction) in open {
            proxy.lose(0, From::Client, Then::Hang);
            match end {
                "commit" => assert!(R::Log::commit(transaction).await.is_err()),
                "roll back" => assert!(R::Log::rollback(transaction).await.is_err()),
                "mark" => {
                    let other = EventRef::new("evt_other").unwrap();
                    assert!(log.try_mark_in(&mut transaction, other).await.is_err());
                }
                _ => drop(transaction),
            }
            until("the message is lost", || async { proxy.lost_all() }).await;
            events.push(event);
        }
        for event in &events {
            let marked = timeout(DEADLINE, log.try_mark_processed(event)).await.expect("an answer");
            assert!(marked.unwrap(), "{end}: {event} was rolled back");
        }
        until("both connections are given up", || async { R::is_at_rest(&log) }).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn transactions_give_their_connections_up_on_postgres() {
    transactions_give_their_connections_up::<OnPostgres>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MariaDB: run tests/run"]
async fn transactions_give_their_connections_up_on_mariadb() {
    transactions_give_their_connections_up::<OnMariaDb>().await;
}
