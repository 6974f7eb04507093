//! The cases, on every store.

use std::sync::Arc;

use ferro_idem::operations::Operations;
use ferro_idem::{
    ClaimLog, MemoryProcessedLog, MySqlLog, PostgresLog, ProcessedEventLog, RedisLog, SqliteLog,
};
use ferro_idem_tests::servers::{Folder, MariaDb, Postgres, Redis};
use sqlx::{MySqlPool, PgPool};

use super::cases;

/// A log and its operations.
pub(crate) struct Store<L> {
    pub(crate) log: L,
    pub(crate) operations: Arc<dyn Operations>,
    _folder: Option<Folder>,
}

pub(crate) trait Log: ClaimLog + ProcessedEventLog {}

impl<L: ClaimLog + ProcessedEventLog> Log for L {}

pub(crate) fn memory() -> Store<MemoryProcessedLog> {
    let log = MemoryProcessedLog::with_retention(ferro_idem::RETENTION);
    Store { operations: log.operations(), log, _folder: None }
}

pub(crate) async fn sqlite() -> Store<SqliteLog> {
    let folder = Folder::new();
    let log = SqliteLog::open(folder.path().join("events.db")).await.unwrap();
    Store { operations: log.operations(), log, _folder: Some(folder) }
}

pub(crate) async fn postgres() -> Store<PostgresLog> {
    let pool = PgPool::connect(&Postgres::shared().await.fresh_database().await).await.unwrap();
    let log = PostgresLog::new(pool);
    log.create_table().await.unwrap();
    Store { operations: log.operations(), log, _folder: None }
}

pub(crate) async fn mariadb() -> Store<MySqlLog> {
    let pool = MySqlPool::connect(&MariaDb::shared().await.fresh_database().await).await.unwrap();
    let log = MySqlLog::new(pool);
    log.create_table().await.unwrap();
    Store { operations: log.operations(), log, _folder: None }
}

/// Each has a key prefix of its own, with the characters of a pattern.
pub(crate) async fn redis() -> Store<RedisLog> {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let log = RedisLog::new(Redis::shared().await.connection().await)
        .with_key_prefix(format!("events[{number}]*\\?-^:"));
    Store { operations: log.operations(), log, _folder: None }
}

macro_rules! on_every_store {
    ($($case:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test] async fn $case() { super::cases::$case(super::memory()).await; })*
        }
        mod sqlite {
            $(#[tokio::test] async fn $case() { super::cases::$case(super::sqlite().await).await; })*
        }
        mod postgres {
            $(#[tokio::test]
            #[ignore = "needs PostgreSQL: run tests/run"]
            async fn $case() { super::cases::$case(super::postgres().await).await; })*
        }
        mod mariadb {
            $(#[tokio::test]
            #[ignore = "needs MariaDB: run tests/run"]
            async fn $case() { super::cases::$case(super::mariadb().await).await; })*
        }
        mod redis {
            $(#[tokio::test]
            #[ignore = "needs Redis: run tests/run"]
            async fn $case() { super::cases::$case(super::redis().await).await; })*
        }
    };
}

on_every_store!(
    an_event_shows_its_state_token_and_lease,
    a_released_event_is_claimed_under_a_higher_token,
    a_completed_event_is_a_duplicate,
    a_forgotten_mark_runs_again,
    a_forgotten_claim_keeps_its_token,
    the_second_of_two_operators_comes_too_late,
    a_delivery_in_between_makes_a_change_too_late,
    changes_that_do_not_apply_say_what_does,
    a_list_goes_on_while_events_come_and_go,
    filters_narrow_a_list,
    counts_add_up_over_all_events,
    ids_come_back_byte_for_byte,
    an_age_filter_knows_young_from_old,
    a_purge_reports_progress_and_spares_claims,
    a_cursor_of_another_store_is_refused,
);
