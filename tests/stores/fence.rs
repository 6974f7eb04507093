//! The promise of every log: of all calls with one id, exactly one is first.

use std::sync::Arc;
use std::time::Duration;

use ferro_idem::{Error, EventRef, MemoryProcessedLog, ProcessedEventLog, SqliteLog};
use ferro_idem_tests::drop_after_polls;
use tempfile::TempDir;
use tokio::task::JoinSet;

/// Independent handles on one store, and what keeps the store there.
struct Store<L> {
    handles: Vec<L>,
    _folder: Option<TempDir>,
}

fn memory() -> Store<MemoryProcessedLog> {
    let log = MemoryProcessedLog::new();
    Store { handles: vec![log.clone(), log], _folder: None }
}

fn forgetful_memory() -> Store<MemoryProcessedLog> {
    let log = MemoryProcessedLog::with_retention(Duration::from_hours(1));
    Store { handles: vec![log.clone(), log], _folder: None }
}

/// Two pools on one file, as two processes have them.
async fn sqlite() -> Store<SqliteLog> {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("events.db");
    let handles = vec![SqliteLog::open(&path).await.unwrap(), SqliteLog::open(&path).await.unwrap()];
    Store { handles, _folder: Some(folder) }
}

macro_rules! on_every_log {
    ($($(#[$attribute:meta])* $test:ident),* $(,)?) => {
        mod on_memory {
            $($(#[$attribute])* #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() { super::$test(super::memory()).await })*
        }
        mod on_forgetful_memory {
            $($(#[$attribute])* #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() { super::$test(super::forgetful_memory()).await })*
        }
        mod on_sqlite {
            $($(#[$attribute])* #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() { super::$test(super::sqlite().await).await })*
        }
    };
}

on_every_log!(
    of_many_racers_one_is_first,
    near_equal_ids_are_different_events,
    ids_at_the_limits_are_kept_and_over_them_refused,
    text_that_looks_like_sql_is_only_text,
    a_call_dropped_at_any_await_harms_nobody,
    every_pointer_to_a_log_is_that_log,
);

async fn of_many_racers_one_is_first<L: ProcessedEventLog + Clone + 'static>(store: Store<L>) {
    for round in 0..20 {
        let id = format!("evt_{round}");
        let mut racers = JoinSet::new();
        for racer in 0..32 {
            let (log, id) = (store.handles[racer % 2].clone(), id.clone());
            racers.spawn(async move { log.try_mark_processed(&id).await.unwrap() });
        }
        let firsts = racers.join_all().await.into_iter().filter(|first| *first).count();
        assert_eq!(firsts, 1, "round {round}");
    }
}

async fn near_equal_ids_are_different_events<L: ProcessedEventLog>(store: Store<L>) {
    let ids = [
        "evt_a",
        "EVT_A",
        "evt_A",
        "evt_a ",
        " evt_a",
        "evt_a\t",
        "evt_a\n",
        "evt_à",
        "evt_a\u{300}",
        "evt_1",
        "evt_01",
        "1",
        "1.0",
        "1e0",
        "01",
        "null",
        "true",
        "evt_a\u{200b}",
        "\u{1f4b8}",
        "%",
        "_",
        "*",
    ];
    for id in ids {
        assert!(store.handles[0].try_mark_processed(id).await.unwrap(), "{id:?} was taken for another");
    }
    for id in ids {
        assert!(!store.handles[1].try_mark_processed(id).await.unwrap(), "{id:?} was forgotten");
    }
}

async fn ids_at_the_limits_are_kept_and_over_them_refused<L: ProcessedEventLog>(store: Store<L>) {
    let log = &store.handles[0];
    for len in [1, 30, 31, 254, 255] {
        let id = "x".repeat(len);
        assert!(log.try_mark_processed(&id).await.unwrap());
        assert!(!log.try_mark_processed(&id).await.unwrap());
    }
    for id in ["", "evt\0", &"x".repeat(256)] {
        let refused = log.try_mark_processed(id).await;
        assert!(matches!(refused, Err(Error::InvalidEventId { .. })), "{refused:?}");
    }
}

async fn text_that_looks_like_sql_is_only_text<L: ProcessedEventLog>(store: Store<L>) {
    let log = &store.handles[0];
    let hostile = "'); DROP TABLE stripe_processed_events; --";
    let event = EventRef::new(hostile).unwrap().with_type(hostile);
    assert!(log.try_mark_event(event).await.unwrap());
    assert!(!log.try_mark_event(event).await.unwrap());
    assert!(log.try_mark_processed("evt_1").await.unwrap());
}

async fn a_call_dropped_at_any_await_harms_nobody<L: ProcessedEventLog>(store: Store<L>) {
    let [log, other] = &store.handles[..] else { unreachable!() };
    for polls in 0..20 {
        let id = format!("dropped_{polls}");
        let finished = drop_after_polls(log.try_mark_processed(&id), polls).await;
        let again = other.try_mark_processed(&id).await.unwrap();
        if let Some(first) = finished {
            assert!(first.unwrap() && !again, "a finished mark is kept");
        }
        assert!(!log.try_mark_processed(&id).await.unwrap(), "whoever marked it, it is marked now");
        assert!(log.try_mark_processed(&format!("other_{polls}")).await.unwrap());
    }
}

async fn every_pointer_to_a_log_is_that_log<L: ProcessedEventLog + Clone + 'static>(store: Store<L>) {
    async fn is_first(log: impl ProcessedEventLog, id: &str) -> bool {
        log.try_mark_event(EventRef::new(id).unwrap()).await.unwrap()
    }
    let log = store.handles[0].clone();
    assert!(is_first(&log, "evt_1").await);
    assert!(!is_first(Box::new(log.clone()), "evt_1").await);
    assert!(!is_first(Arc::new(log.clone()), "evt_1").await);
    let dynamic: Arc<dyn ProcessedEventLog> = Arc::new(log);
    assert!(!is_first(&dynamic, "evt_1").await);
    assert!(!dynamic.try_mark_processed("evt_1").await.unwrap());
    assert!(is_first(dynamic, "evt_2").await);
}
