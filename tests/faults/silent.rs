//! Connections on which no message arrives any more, without notice, as after a failover or behind a
//! firewall.

use std::sync::Arc;
use std::time::Duration;

use ferro_idem::{EventRef, MarkOutcome, ProcessedEventLog, TransactionalLog};
use ferro_idem_tests::proxy::{From, Proxy, Then};
use ferro_idem_tests::servers::until;
use futures_util::future::join_all;
use tokio::time::timeout;

use super::rig::{OnMariaDb, OnPostgres, Rig};

/// How long a call tries its store.
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

/// What is done with an open transaction when its server is lost.
#[derive(Clone, Copy, Debug)]
enum End {
    Commit,
    RollBack,
    Drop,
}

/// The place in the pool of a connection whose server is gone comes back, whichever of the messages was the last that
/// came through: the one that ends the transaction, or the one that tests the connection before it is returned.
async fn each_place_comes_back<R: Rig>()
where
    R::Log: TransactionalLog,
{
    /// More than the client sends.
    const MESSAGES: usize = 9;
    let rig = Arc::new(R::fresh().await);
    let cases = [End::Commit, End::RollBack, End::Drop].map(|end| (0..MESSAGES).map(move |nth| (end, nth)));
    let cases = cases.into_iter().flatten().map(|(end, nth)| {
        let rig = Arc::clone(&rig);
        tokio::spawn(async move {
            let proxy = Proxy::before(R::PROTOCOL, rig.server_port()).await;
            let log = rig.open(Some(&proxy)).await;
            let mut transaction = log.begin().await.unwrap();
            let event = format!("evt_{end:?}_{nth}");
            log.try_mark_in(&mut transaction, EventRef::new(&event).unwrap()).await.unwrap();
            proxy.lose(nth, From::Client, Then::Hang);
            match end {
                End::Commit => drop(R::Log::commit(transaction).await),
                End::RollBack => drop(R::Log::rollback(transaction).await),
                End::Drop => drop(transaction),
            }
            until("the place is given back", || async { R::is_at_rest(&log) }).await;
            proxy.has_lost()
        })
    });
    let lost = join_all(cases.collect::<Vec<_>>()).await.into_iter().filter(|lost| *lost.as_ref().unwrap());
    // Of the messages that end a transaction, and the test of its connection.
    assert!(lost.count() >= 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn postgres_gives_each_place_in_the_pool_back() {
    each_place_comes_back::<OnPostgres>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MariaDB: run tests/run"]
async fn mariadb_gives_each_place_in_the_pool_back() {
    each_place_comes_back::<OnMariaDb>().await;
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
