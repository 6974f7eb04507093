//! What an operator does with replies: look, delete one, purge.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ferro_idem::operations::{Change, Operations};
use ferro_idem::replay::{KEEP, NewReply, ReplayLog};
use ferro_idem::{
    ClaimLog, ClaimOutcome, EventRef, MemoryProcessedLog, MySqlLog, Owner, Ownership, PostgresLog, RedisLog,
    SqlDatabase, SqlLog,
};
use ferro_idem_tests::open_sqlite;
use ferro_idem_tests::servers::{MariaDb, Postgres, Redis, until};
use tempfile::TempDir;

const LEASE: Duration = Duration::from_mins(1);
const STORED: &[u8] = b"canary@example.com";

async fn replied<L: ClaimLog + ReplayLog>(log: &L, id: &str, keep: Duration) {
    let owner = Owner::random().unwrap();
    let claimed = log.claim(EventRef::new(id).unwrap(), owner, LEASE).await.unwrap();
    assert_eq!(claimed, ClaimOutcome::Acquired { token: 1 });
    let held = Ownership { owner, token: 1 };
    assert!(log.complete_with_reply(id, held, NewReply { stored: STORED, keep }).await.unwrap());
}

async fn an_operator_sees_and_deletes_a_reply<L: ClaimLog + ReplayLog>(
    log: &L,
    operations: Arc<dyn Operations>,
) {
    replied(log, "evt_1", KEEP).await;
    replied(log, "evt_2", KEEP).await;
    let seen = operations.look("evt_1").await.unwrap().unwrap();
    let left = seen.reply_until().unwrap().duration_since(SystemTime::now()).unwrap();
    let about = KEEP.checked_sub(Duration::from_mins(10)).unwrap()..KEEP + Duration::from_mins(1);
    assert!(about.contains(&left), "{left:?}");
    assert!(!format!("{seen:?}").contains("canary"));
    let listed = operations.list(&ferro_idem::operations::Filter::new(), None, 10).await.unwrap();
    assert_eq!(listed.events.len(), 2, "a reply is no event");
    assert!(listed.events.iter().all(|event| event.reply_until().is_some()), "{listed:?}");

    assert_eq!(operations.forget_reply(&seen).await.unwrap(), Change::Done);
    assert_eq!(log.kept_reply("evt_1").await.unwrap(), None);
    let now = operations.look("evt_1").await.unwrap().unwrap();
    assert_eq!((now.reply_until(), now.state()), (None, seen.state()));
    assert!(matches!(operations.forget_reply(&now).await.unwrap(), Change::NotPossible(_)));
    let claimed = log.claim(EventRef::new("evt_1").unwrap(), Owner::random().unwrap(), LEASE).await.unwrap();
    assert_eq!(claimed, ClaimOutcome::Processed, "the mark stays");

    let seen = operations.look("evt_2").await.unwrap().unwrap();
    assert_eq!(operations.forget(&seen).await.unwrap(), Change::Done);
    assert_eq!(log.kept_reply("evt_2").await.unwrap(), None);
    replied_again(log, "evt_2").await;
    assert!(matches!(operations.forget_reply(&seen).await.unwrap(), Change::TooLate(Some(_))));
    assert!(log.kept_reply("evt_2").await.unwrap().is_some(), "the reply of another completion stays");
}

async fn replied_again<L: ClaimLog + ReplayLog>(log: &L, id: &str) {
    let owner = Owner::random().unwrap();
    let claimed = log.claim(EventRef::new(id).unwrap(), owner, LEASE).await.unwrap();
    assert_eq!(claimed, ClaimOutcome::Acquired { token: 2 });
    let held = Ownership { owner, token: 2 };
    assert!(log.complete_with_reply(id, held, NewReply { stored: STORED, keep: KEEP }).await.unwrap());
}

/// Only what has expired is deleted, and the marks stay.
async fn a_purge_deletes_expired_replies<L: ClaimLog + ReplayLog>(
    log: &L,
    operations: Arc<dyn Operations>,
) -> u64 {
    replied(log, "evt_short", Duration::from_millis(1)).await;
    replied(log, "evt_long", KEEP).await;
    until("the reply has expired", || async { log.kept_reply("evt_short").await.unwrap().is_none() }).await;
    let mut replies = 0;
    let deleted = operations.purge(LEASE, &mut |page| replies += page.replies).await.unwrap();
    assert_eq!(deleted, 0, "the events are young");
    let until = async |id| operations.look(id).await.unwrap().unwrap().reply_until();
    assert_eq!(until("evt_short").await, None);
    assert!(until("evt_long").await.is_some());
    assert!(log.kept_reply("evt_long").await.unwrap().is_some());
    replies
}

async fn over_sql<D: SqlDatabase>(log: SqlLog<D>) -> SqlLog<D>
where
    SqlLog<D>: ClaimLog + ReplayLog,
{
    assert_eq!(a_purge_deletes_expired_replies(&log, log.operations()).await, 1);
    let of_short = log.operations().look("evt_short").await.unwrap().unwrap();
    assert_eq!(log.operations().forget(&of_short).await.unwrap(), Change::Done);
    assert_eq!(log.purge(Duration::from_mins(1)).await.unwrap(), 0);
    log
}

#[tokio::test]
async fn sqlite_keeps_no_byte_of_a_reply_that_was_purged_or_forgotten() {
    let folder = TempDir::new().unwrap();
    let log = over_sql(open_sqlite(folder.path(), 2).await).await;
    let clear = "DELETE FROM stripe_processed_events";
    sqlx::raw_sql(clear).execute(log.pool()).await.unwrap();
    an_operator_sees_and_deletes_a_reply(&log, log.operations()).await;
    let kept: i64 =
        sqlx::query_scalar("SELECT count(*) FROM stripe_processed_events WHERE reply IS NOT NULL")
            .fetch_one(log.pool())
            .await
            .unwrap();
    assert_eq!(kept, 1);
}

#[tokio::test]
async fn memory_keeps_replies_apart_from_marks() {
    let log = MemoryProcessedLog::with_retention(Duration::from_hours(1));
    a_purge_deletes_expired_replies(&log, log.operations()).await;
    let log = MemoryProcessedLog::new();
    an_operator_sees_and_deletes_a_reply(&log, log.operations()).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn postgres_keeps_no_byte_of_a_reply_that_was_purged_or_forgotten() {
    let connect = async || {
        let pool = sqlx::PgPool::connect(&Postgres::shared().await.fresh_database().await).await.unwrap();
        let log = PostgresLog::new(pool);
        log.create_table().await.unwrap();
        log
    };
    over_sql(connect().await).await;
    let log = connect().await;
    an_operator_sees_and_deletes_a_reply(&log, log.operations()).await;
}

#[tokio::test]
#[ignore = "needs MariaDB: run tests/run"]
async fn mariadb_keeps_no_byte_of_a_reply_that_was_purged_or_forgotten() {
    let connect = async || {
        let pool = sqlx::MySqlPool::connect(&MariaDb::shared().await.fresh_database().await).await.unwrap();
        let log = MySqlLog::new(pool);
        log.create_table().await.unwrap();
        log
    };
    over_sql(connect().await).await;
    let log = connect().await;
    an_operator_sees_and_deletes_a_reply(&log, log.operations()).await;
}

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn redis_keeps_no_key_of_a_reply_that_expired_or_was_forgotten() {
    let server = Redis::start().await;
    let log = RedisLog::new(server.connection().await);
    replied(&log, "evt_short", Duration::from_millis(1)).await;
    until("the reply is gone", || async { server.tell::<i64>("DBSIZE").await == 1 }).await;
    let of_short = log.operations().look("evt_short").await.unwrap().unwrap();
    assert_eq!(of_short.reply_until(), None);
    let _: () = server.tell("FLUSHALL").await;
    an_operator_sees_and_deletes_a_reply(&log, log.operations()).await;
    // Two events, and the reply of one of them.
    assert_eq!(server.tell::<i64>("DBSIZE").await, 3);
}
