//! What holds over each layer beside the kit: one table with the logs over sqlx, dropped deliveries, bodies that end their
//! transaction, small pools.

use std::time::Duration;

use ferro_idem::{
    ClaimLog, ClaimOutcome, Error, EventRef, MarkOutcome, Owner, ProcessedEventLog, TransactionalLog,
    idempotent_webhook,
};
use ferro_idem_tests::{drop_after_polls, redeliver};
use futures_util::future::join_all;

use crate::databases::{Database, OnPostgres};
use crate::kit::Layered;
use crate::traps::plain_table;
pub(crate) use crate::traps::{
    refuses_a_key_that_takes_two_ids_for_one, says_that_a_body_began_another_transaction,
    says_that_the_session_is_read_only, sees_claims_after_an_upgrade,
};

/// What a body does after it has written its effect.
#[derive(Clone, Copy)]
pub(crate) enum Then {
    Reply,
    Fail,
    /// Runs a statement, ignores whether it fails, and replies.
    Run(&'static str),
    /// The same, and fails.
    RunAndFail(&'static str),
}

#[idempotent_webhook(transaction(tx))]
pub(crate) async fn deliver<L: Layered>(log: &L::Log, event: &str, then: Then, _of: &L) -> Result<(), Error> {
    L::write(&mut *tx, event).await.map_err(|error| Error::store("write", error))?;
    match then {
        Then::Reply => Ok(()),
        Then::Fail => Err(Error::in_progress(event, Duration::ZERO)),
        Then::Run(statement) => {
            drop(L::run(&mut *tx, statement).await);
            Ok(())
        }
        Then::RunAndFail(statement) => {
            drop(L::run(&mut *tx, statement).await);
            Err(Error::in_progress(event, Duration::ZERO))
        }
    }
}

pub(crate) async fn mark<L: TransactionalLog>(log: &L, event_id: &str) -> (L::Transaction, MarkOutcome) {
    let mut transaction = log.begin().await.unwrap();
    let outcome = log.try_mark_in(&mut transaction, EventRef::new(event_id).unwrap()).await.unwrap();
    (transaction, outcome)
}

pub(crate) async fn outcome_of<L: TransactionalLog>(log: &L, event_id: &str) -> MarkOutcome {
    let (transaction, outcome) = mark(log, event_id).await;
    L::rollback(transaction).await.unwrap();
    outcome
}

/// What one log has written, the other one sees.
pub(crate) async fn sees_the_rows_of_sqlx<L: Layered>(_layer: L) {
    let database = L::Database::fresh().await;
    let (sqlx, layer) = (database.log(), L::open(database.url(), 4).await);
    assert!(sqlx.try_mark_processed("fenced").await.unwrap());
    assert_eq!(outcome_of(&layer, "fenced").await, MarkOutcome::Processed);

    let event = EventRef::new("claimed").unwrap();
    let owner = Owner::random().unwrap();
    let lease = Duration::from_mins(1);
    let ClaimOutcome::Acquired { token } = sqlx.claim(event, owner, lease).await.unwrap() else {
        panic!("the event is new")
    };
    assert!(matches!(outcome_of(&layer, "claimed").await, MarkOutcome::InProgress { .. }));
    let ownership = ferro_idem::Ownership { owner, token };
    assert!(sqlx.release("claimed", ownership).await.unwrap());
    let (taken_over, outcome) = mark(&layer, "claimed").await;
    assert_eq!(outcome, MarkOutcome::First);
    L::Log::commit(taken_over).await.unwrap();
    let again = sqlx.claim(event, Owner::random().unwrap(), lease).await.unwrap();
    assert_eq!(again, ClaimOutcome::Processed);

    let (committed, outcome) = mark(&layer, "Æ \u{7f} 'évt'").await;
    assert_eq!(outcome, MarkOutcome::First);
    L::Log::commit(committed).await.unwrap();
    assert!(!sqlx.try_mark_processed("Æ \u{7f} 'évt'").await.unwrap());
    assert!(sqlx.try_mark_processed("æ \u{7f} 'évt'").await.unwrap(), "another event");
}

/// At the same moment, too.
pub(crate) async fn excludes_sqlx_at_the_same_time<L: Layered>(_layer: L) {
    let database = L::Database::fresh().await;
    let (sqlx, layer) = (database.log(), L::open(database.url(), 4).await);
    for commits in [true, false] {
        let id = if commits { "committed" } else { "rolled back" };
        let (open, outcome) = mark(&layer, id).await;
        assert_eq!(outcome, MarkOutcome::First);
        assert!(matches!(outcome_of(sqlx, id).await, MarkOutcome::InProgress { .. }), "{id}");
        let mut fence = Box::pin(sqlx.try_mark_processed(id));
        assert!(futures_util::poll!(&mut fence).is_pending());
        if commits {
            L::Log::commit(open).await.unwrap();
        } else {
            L::Log::rollback(open).await.unwrap();
        }
        assert_eq!(fence.await.unwrap(), !commits, "{id}");
    }
    let (open, outcome) = mark(sqlx, "of sqlx").await;
    assert_eq!(outcome, MarkOutcome::First);
    assert!(matches!(outcome_of(&layer, "of sqlx").await, MarkOutcome::InProgress { .. }));
    sqlx.commit_of(open).await;
    assert_eq!(outcome_of(&layer, "of sqlx").await, MarkOutcome::Processed);
}

/// Ends a transaction of a log whose type is not written out.
trait CommitOf: TransactionalLog {
    fn commit_of(&self, transaction: Self::Transaction) -> impl Future<Output = ()> {
        let _ = self;
        async { Self::commit(transaction).await.unwrap() }
    }
}

impl<L: TransactionalLog> CommitOf for L {}

/// A delivery that is dropped at any await takes effect once, and the pool stays whole.
pub(crate) async fn survives_a_drop_at_every_await<L: Layered>(layer: L) {
    let database = L::Database::fresh().await;
    let log = L::open(database.url(), 2).await;
    for polls in 0..24 {
        let id = format!("dropped after {polls}");
        drop(drop_after_polls(deliver(&log, &id, Then::Reply, &layer), polls).await);
        redeliver(async || deliver(&log, &id, Then::Reply, &layer).await).await.unwrap();
        assert_eq!(database.effects(&id).await, 1, "{id}");
    }
    // Every connection of the pool works, and none has an open transaction.
    let ids: Vec<String> = (0..8).map(|number| format!("after all, {number}")).collect();
    for delivered in join_all(ids.iter().map(|id| deliver(&log, id, Then::Reply, &layer))).await {
        delivered.unwrap();
    }
    for id in &ids {
        assert_eq!(database.effects(id).await, 1, "{id}");
    }
}

const WORDS: &str = "committed before its end";

/// If a body commits by itself, its delivery gets an error that says so, and the event is not lost.
pub(crate) async fn says_that_a_body_committed<L: Layered>(layer: L) {
    let database = L::Database::fresh().await;
    let log = L::open(database.url(), 2).await;
    let error = deliver(&log, "replied", Then::Run("COMMIT"), &layer).await.unwrap_err();
    assert!(error.to_string().contains(WORDS), "{error}");
    deliver(&log, "replied", Then::Reply, &layer).await.unwrap();
    assert_eq!(database.effects("replied").await, 1, "a duplicate");

    let error = deliver(&log, "failed", Then::RunAndFail("COMMIT"), &layer).await.unwrap_err();
    assert!(error.to_string().contains(WORDS) && error.to_string().contains("taken back"), "{error}");
    deliver(&log, "failed", Then::Reply, &layer).await.unwrap();
    assert_eq!(database.effects("failed").await, 2, "the next delivery ran all of it");
}

/// A transaction that is gone is never reported as committed.
pub(crate) async fn says_that_the_database_rolled_back<L: Layered>(layer: L) {
    let database = L::Database::fresh().await;
    let log = L::open(database.url(), 1).await;
    for (id, statement) in [("ended", "ROLLBACK"), ("failed", "SELECT no_column FROM effects")] {
        let delivered = deliver(&log, id, Then::Run(statement), &layer).await;
        let effects = database.effects(id).await;
        match delivered {
            // Only PostgreSQL rolls back after any statement that fails.
            Ok(()) => assert_eq!((id, effects), ("failed", 1)),
            Err(error) => {
                assert!(error.to_string().contains("rolled the transaction back"), "{id}: {error}");
                assert_eq!(effects, 0, "{id}");
            }
        }
        deliver(&log, id, Then::Reply, &layer).await.unwrap();
        assert_eq!(database.effects(id).await, 1, "{id}");
    }
    deliver(&log, "refused", Then::Fail, &layer).await.unwrap_err();
    assert_eq!(database.effects("refused").await, 0);
}

/// A pool of one connection is enough.
pub(crate) async fn needs_one_connection<L: Layered>(layer: L) {
    let database = L::Database::fresh().await;
    let log = L::open(database.url(), 1).await;
    let ids: Vec<String> = (0..16).map(|number| format!("evt_{}", number / 2)).collect();
    for delivered in join_all(ids.iter().map(|id| deliver(&log, id, Then::Reply, &layer))).await {
        delivered.unwrap();
    }
    for id in &ids {
        assert_eq!(database.effects(id).await, 1, "{id}");
    }
}

/// A server that dies in the body takes the transaction along, and the next delivery runs.
pub(crate) async fn survives_a_killed_server<L: Layered<Database = OnPostgres>>(layer: L) {
    let database = OnPostgres::on_own_server().await;
    let log = L::open(database.url(), 2).await;
    deliver(&log, "before", Then::Reply, &layer).await.unwrap();
    let (mut open, outcome) = mark(&log, "killed").await;
    assert_eq!(outcome, MarkOutcome::First);
    L::write(&mut open, "killed").await.unwrap();
    database.own().server().kill();
    // The session's own process may outlive the server for a moment, and commit.
    let ended = L::Log::commit(open).await;
    assert!(matches!(ended, Ok(()) | Err(Error::Store { .. })), "{ended:?}");
    if let Err(error) = deliver(&log, "killed", Then::Reply, &layer).await {
        assert!(error.is_retryable(), "{error}");
    }
    database.own().start_again().await;
    redeliver(async || deliver(&log, "killed", Then::Reply, &layer).await).await.unwrap();
    assert_eq!(database.effects("killed").await, 1);
    assert_eq!(database.effects("before").await, 1);
}

/// A table that only has the plain columns works.
pub(crate) async fn works_over_a_plain_table<L: Layered>(layer: L) {
    let database = plain_table::<L>().await;
    let log = L::open(database.url(), 2).await;
    for _ in 0..2 {
        deliver(&log, "evt_1", Then::Reply, &layer).await.unwrap();
        assert_eq!(database.effects("evt_1").await, 1);
    }
    assert_eq!(database.count("SELECT count(*) FROM stripe_processed_events").await, 1);
    let error = deliver(&log, "evt_2", Then::Run("COMMIT"), &layer).await.unwrap_err();
    assert!(error.to_string().contains(WORDS), "{error}");
}

/// Makes a test of each promise.
macro_rules! promises {
    ($attribute:tt for $layer:ident; $($promise:ident)*) => {
        $(
            #[tokio::test]
            #$attribute
            async fn $promise() {
                crate::promises::$promise($layer).await;
            }
        )*
    };
}

pub(crate) use promises;
