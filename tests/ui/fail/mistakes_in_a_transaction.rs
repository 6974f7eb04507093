// Row 11 of the macro's checklist.

use ferro_idem::{Error, Outcome, SqliteLog, idempotent_webhook};

#[idempotent_webhook(transaction(tx))]
async fn tail(log: &SqliteLog, event: &str) -> Result<Outcome<u8>, Error> {
    let _ = tx;
    Ok(Outcome::Processed("not a number"))
}

#[idempotent_webhook(transaction(tx))]
async fn no_tail(log: &SqliteLog, event: &str) -> Result<Outcome<u8>, Error> {
    let _ = tx;
    1;
}

/// The body has the connection, not the transaction.
#[idempotent_webhook(transaction(tx))]
async fn commits(log: &SqliteLog, event: &str) -> Result<(), Error> {
    tx.commit().await.map_err(|error| Error::store("commit", error))?;
    Ok(())
}

/// ... and the connection ends with the body.
#[idempotent_webhook(transaction(tx))]
async fn keeps_the_connection(log: &SqliteLog, event: &str) -> Result<(), Error> {
    tokio::spawn(async move {
        let _ = &tx;
    });
    Ok(())
}

fn main() {}
