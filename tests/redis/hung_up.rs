//! Callers that hang up, many at once, while the server answers or does not.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use ferro_idem::{ClaimLog, EventRef, Owner, ProcessedEventLog, RedisLog};
use ferro_idem_tests::servers::{Redis, until};
use futures_util::future::{join, join_all};
use futures_util::poll;
use tokio::time::timeout;

use super::{LEASE, acquire};

/// All events are on one node of a cluster, as far as the log can tell.
const TOGETHER: &str = "{together}";

/// Delivers events, all at once, and hangs up on each that has no answer within so long.
async fn hang_up<T>(within: Duration, deliveries: impl Iterator<Item = impl Future<Output = T>>) {
    drop(join_all(deliveries.map(|delivery| timeout(within, delivery))).await);
}

/// How many scripts the server has run.
async fn scripts_run(server: &Redis) -> u64 {
    let stats: String = server.tell("INFO commandstats").await;
    let lines = stats.lines().filter_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
    lines.filter_map(|line| line.split(',').next()?.parse::<u64>().ok()).sum()
}

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn no_mark_stays_when_20000_callers_hang_up() {
    let server = Redis::start().await;
    let log = RedisLog::new(server.connection().await);
    assert!(log.try_mark_processed("known").await.unwrap());
    server.server().pause();
    for burst in 0..20 {
        let ids: Vec<String> = (0..1_000).map(|number| format!("evt_{burst}_{number}")).collect();
        let marks = ids.iter().map(|id| log.try_mark_processed(id));
        hang_up(Duration::from_millis(100), marks).await;
    }
    server.server().resume();
    until("every mark without a caller is gone", || async { server.tell::<usize>("DBSIZE").await == 1 })
        .await;
    assert!(log.try_mark_processed("evt_19_999").await.unwrap());
}

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn an_event_runs_after_1000_callers_hung_up() {
    let server = Redis::start().await;
    let log = RedisLog::new(server.connection().await);
    assert!(log.try_mark_processed("known").await.unwrap());
    for round in 0..40 {
        let id = &format!("evt_{round}");
        let marks = (0_u32..1_000).map(|number| {
            let within = Duration::from_micros(u64::from(number) * 6);
            timeout(within, log.try_mark_processed(id))
        });
        let answers = join_all(marks).await;
        if !answers.iter().any(|answer| matches!(answer, Ok(Ok(true)))) {
            until("the event runs", || async { log.try_mark_processed(id).await.unwrap() }).await;
        }
    }
}

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn a_silent_server_is_not_sent_more_and_more() {
    let server = Redis::start().await;
    let log = RedisLog::new(server.connection().await).with_key_prefix(TOGETHER);
    acquire(&log, "known", LEASE).await;
    server.server().pause();
    for burst in 0..10 {
        let ids: Vec<String> = (0..300).map(|number| format!("evt_{burst}_{number}")).collect();
        let claims =
            ids.iter().map(|id| log.claim(EventRef::new(id).unwrap(), Owner::random().unwrap(), LEASE));
        // Longer than redis-rs waits for an answer.
        hang_up(Duration::from_millis(700), claims).await;
    }
    server.server().resume();
    until("a call goes through", || async { log.try_mark_processed("evt_1").await.is_ok() }).await;
    // The claims of the first burst, and what takes them back.
    let run = scripts_run(&server).await;
    assert!(run < 1_500, "{run} scripts of 3,000 claims");
}

#[test]
#[ignore = "needs Redis: run tests/run"]
fn another_runtime_takes_back_what_an_ended_one_left() {
    let runtime =
        || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (ended, stays) = (runtime(), runtime());
    let (server, log) = stays.block_on(async {
        let server = Redis::start().await;
        let log = RedisLog::new(server.connection().await);
        assert!(log.try_mark_processed("known").await.unwrap());
        server.server().pause();
        (server, log)
    });
    ended.block_on(async {
        hang_up(Duration::from_millis(100), [log.try_mark_processed("evt_1")].into_iter()).await;
    });
    drop(ended);
    stays.block_on(async {
        server.server().resume();
        until("the mark is made, or never will be", || async {
            // A call of any other event.
            log.try_mark_processed("evt_2").await.unwrap();
            server.tell::<usize>("EXISTS stripe_processed_events:evt_1").await == 0
        })
        .await;
        assert!(log.try_mark_processed("evt_1").await.unwrap());
    });
}

/// While the server stands still, so that every request arrives before the first answer.
#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn the_caller_that_stays_gets_the_mark_of_one_that_hung_up() {
    let server = Redis::start().await;
    let log = RedisLog::new(server.connection().await);
    assert!(log.try_mark_processed("known").await.unwrap());
    server.server().pause();
    let hung_up = async {
        let marks = (0..100).map(|_| log.try_mark_processed("evt_1"));
        hang_up(Duration::from_millis(100), marks).await;
        server.server().resume();
    };
    let ((), stays) = join(hung_up, log.try_mark_processed("evt_1")).await;
    assert!(stays.unwrap(), "it is a duplicate of a delivery that is gone");
    assert!(!log.try_mark_processed("evt_1").await.unwrap());
}

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn a_redelivery_is_no_duplicate_of_a_delivery_that_hung_up() {
    let server = Redis::start().await;
    let log = RedisLog::new(server.connection().await);
    assert!(log.try_mark_processed("known").await.unwrap());
    for round in 0..3 {
        let id = &format!("evt_{round}");
        server.server().pause();
        hang_up(Duration::from_millis(100), [log.try_mark_processed(id)].into_iter()).await;
        let mut redelivered = pin!(log.try_mark_processed(id));
        assert!(poll!(&mut redelivered).is_pending(), "round {round}");
        server.server().resume();
        assert!(redelivered.await.unwrap(), "round {round}");
    }
}

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn of_many_callers_that_stay_one_is_the_first() {
    let server = Redis::start().await;
    let log = RedisLog::new(server.connection().await);
    for round in 0..50 {
        let id = &format!("evt_{round}");
        let marks = join_all((0..100).map(|_| log.try_mark_processed(id))).await;
        assert_eq!(marks.into_iter().filter(|first| *first.as_ref().unwrap()).count(), 1);
    }
}

/// A caller that is not polled, and leads the others.
#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn no_delivery_waits_for_one_that_is_not_polled() {
    let server = Redis::start().await;
    let log = RedisLog::new(server.connection().await);
    assert!(log.try_mark_processed("known").await.unwrap());
    let mut idle = std::pin::pin!(log.try_mark_processed("evt_1"));
    assert!(poll!(idle.as_mut()).is_pending());
    let beside = log.try_mark_processed("evt_1").await.unwrap();
    assert!(beside != idle.await.unwrap(), "one of them is the first");
}
