//! Tables and sessions that break a promise: each layer says so, and loses nothing.

use std::time::Duration;

use ferro_idem::{ClaimLog, ClaimOutcome, Error, EventRef, MarkOutcome, Owner, SqlLog, TransactionalLog};

use crate::databases::Database;
use crate::kit::Layered;
use crate::promises::{Then, deliver, mark, outcome_of};

/// A database whose table has the columns of the recommended one, and no more.
pub(crate) async fn plain_table<L: Layered>() -> L::Database {
    let database = L::Database::fresh().await;
    let key = if database.url().starts_with("mysql") { "VARBINARY(255)" } else { "VARCHAR(255)" };
    replace_table(&database, key).await;
    database
}

async fn replace_table<D: Database>(database: &D, key: &str) {
    database.execute("DROP TABLE stripe_processed_events").await;
    let create = format!(
        "CREATE TABLE stripe_processed_events (
           event_id {key} NOT NULL PRIMARY KEY, event_type VARCHAR(255) NOT NULL,
           received_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)"
    );
    database.execute(&create).await;
}

/// A table that would take two events for one is refused, with what fixes it.
pub(crate) async fn refuses_a_key_that_takes_two_ids_for_one<L: Layered>(layer: L) {
    let database = L::Database::fresh().await;
    replace_table(&database, L::Database::LOSSY).await;
    let log = L::open(database.url(), 2).await;
    for error in [L::check(&log).await, deliver(&log, "evt_1", Then::Reply, &layer).await] {
        let error = error.unwrap_err().to_string();
        assert!(error.contains("takes different ids for one"), "{error}");
    }
    assert_eq!(database.count("SELECT count(*) FROM effects").await, 0);
}

/// A table that is upgraded under a running log has claims from then on, which the log sees.
pub(crate) async fn sees_claims_after_an_upgrade<L: Layered>(layer: L) {
    let database = plain_table::<L>().await;
    let log = L::open(database.url(), 2).await;
    deliver(&log, "before", Then::Reply, &layer).await.unwrap();
    database.execute(SqlLog::<<L::Database as Database>::Sqlx>::UPGRADE).await;
    let (event, owner) = (EventRef::new("claimed").unwrap(), Owner::random().unwrap());
    let claimed = database.log().claim(event, owner, Duration::from_mins(1)).await.unwrap();
    assert!(matches!(claimed, ClaimOutcome::Acquired { .. }));
    assert!(matches!(outcome_of(&log, "claimed").await, MarkOutcome::InProgress { .. }));
    assert_eq!(outcome_of(&log, "before").await, MarkOutcome::Processed);
    deliver(&log, "after", Then::Reply, &layer).await.unwrap();
    assert_eq!(database.effects("after").await, 1);
}

/// A read-only session is said to be one. Its connection may lead to a server that was the primary before a failover,
/// so it does not go back into its pool, if the layer can close one.
pub(crate) async fn says_that_the_session_is_read_only<L: Layered>(layer: L) {
    let database = L::Database::fresh().await;
    let log = L::open(database.url(), 1).await;
    deliver(&log, "before", Then::Reply, &layer).await.unwrap();
    let mut open = log.begin().await.unwrap();
    L::run(&mut open, L::Database::READ_ONLY).await.unwrap();
    L::Log::commit(open).await.unwrap();
    let error = deliver(&log, "evt_1", Then::Reply, &layer).await.unwrap_err();
    assert!(matches!(error, Error::Store { .. }) && error.to_string().contains("read-only"), "{error}");
    let again = deliver(&log, "evt_1", Then::Reply, &layer).await;
    assert_eq!(again.is_ok(), L::CLOSES, "{again:?}");
    assert_eq!(database.effects("evt_1").await, i64::from(L::CLOSES));
}

/// A body that ends its transaction and begins another one is found out: its mark is not in the new one.
pub(crate) async fn says_that_a_body_began_another_transaction<L: Layered>(layer: L) {
    let database = L::Database::fresh().await;
    let log = L::open(database.url(), 2).await;
    for (end, words, is_kept) in
        [("ROLLBACK", "rolled the transaction back", 0), ("COMMIT", "committed before its end", 1)]
    {
        let (mut open, outcome) = mark(&log, end).await;
        assert_eq!(outcome, MarkOutcome::First);
        L::write(&mut open, end).await.unwrap();
        L::run(&mut open, end).await.unwrap();
        L::run(&mut open, "BEGIN").await.unwrap();
        L::write(&mut open, "another").await.unwrap();
        let error = L::Log::commit(open).await.unwrap_err();
        assert!(error.to_string().contains(words), "{end}: {error}");
        assert_eq!(database.effects(end).await, is_kept, "{end}");
        assert_eq!(database.effects("another").await, is_kept, "{end}: the second transaction");
        deliver(&log, end, Then::Reply, &layer).await.unwrap();
        assert_eq!(database.effects(end).await, 1, "{end}");
    }
}
