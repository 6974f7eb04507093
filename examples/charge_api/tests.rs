//! A small storm without kills, and the verdict's own tests.

use sqlx::SqlitePool;
use tokio::net::TcpListener;

use super::*;

const FEW: usize = 24;

/// Charges, tampers with the accounts, and checks them.
async fn ledger_after(tampering: &'static str) -> Ledger {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("charges.db");
    let router = server::router(&database).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/charges", listener.local_addr().unwrap());
    let server = tokio::spawn(axum::serve(listener, router).into_future());
    let answers = Client::new(url).unwrap().charge_all(FEW, &AtomicUsize::new(0)).await;
    server.abort();
    let pool = SqlitePool::connect(&format!("sqlite://{}", database.display())).await.unwrap();
    sqlx::query(tampering).execute(&pool).await.unwrap();
    pool.close().await;
    Ledger::read(&database, answers, 0).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_charge_happens_once_and_every_retry_gets_the_same_bytes() {
    let ledger = ledger_after("SELECT 1").await;
    assert!(ledger.balances(), "{ledger}");
    assert_eq!(
        (ledger.charged, ledger.answers.charges, ledger.answers.mismatches),
        (FEW, FEW, FEW),
        "{ledger}"
    );
    assert!(ledger.answers.replays >= FEW, "{ledger}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_doubled_and_a_lost_charge_are_found() {
    let doubled = ledger_after("INSERT INTO charges SELECT * FROM charges LIMIT 1").await;
    assert!(doubled.doubled == 1 && !doubled.balances(), "{doubled}");
    let lost = ledger_after("DELETE FROM charges WHERE rowid = 1").await;
    assert!(lost.lost == 1 && !lost.balances(), "{lost}");
    let taken = ledger_after("UPDATE accounts SET balance = balance - 1 WHERE customer = 'customer-0'").await;
    assert!(taken.taken == taken.expected + 1 && !taken.balances(), "{taken}");
}
