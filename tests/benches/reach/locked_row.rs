//! One event whose row is locked, redelivered again and again, beside others.

use std::time::Duration;

use ferro_idem::ProcessedEventLog;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::database::{Database, open};
use crate::figures::{Figure, milliseconds, percentile};

const POOL: u32 = 10;
const PHASE: Duration = Duration::from_secs(20);
const BETWEEN_OTHERS: Duration = Duration::from_millis(10);
const LOCKED: &str = "evt_locked";

pub(crate) async fn measure<D: Database>(database: &D, group_commit: bool) -> Figure {
    let log = open(database, group_commit, None, POOL).await;
    let (mut before, _) = others(&log, "before").await;
    let held = database.lock_rows(&[LOCKED.to_owned()]).await;
    let redelivering = {
        let log = log.clone();
        tokio::spawn(async move {
            let mut each_second = interval(Duration::from_secs(1));
            let mut deliveries = JoinSet::new();
            loop {
                each_second.tick().await;
                let log = log.clone();
                deliveries.spawn(async move { log.try_mark_processed(LOCKED).await });
            }
        })
    };
    let (mut beside, failed) = others(&log, "beside").await;
    redelivering.abort();
    drop(held);
    let (median, median_beside) = (percentile(50, &mut before), percentile(50, &mut beside));
    let (slowest, slowest_beside) = (percentile(99, &mut before), percentile(99, &mut beside));
    let times = slowest_beside.as_secs_f64() / slowest.as_secs_f64();
    let text = format!(
        "p99 {} before, {} beside it: {times:.1} times; p50 {}, {}; {failed} fail",
        milliseconds(slowest),
        milliseconds(slowest_beside),
        milliseconds(median),
        milliseconds(median_beside)
    );
    Figure::new(times <= 3.0 && failed == 0, text)
}

/// How long each delivery of another event took, and how many failed. They come at a steady rate, however long one
/// takes.
async fn others<L: ProcessedEventLog + Clone + 'static>(log: &L, name: &str) -> (Vec<Duration>, usize) {
    let start = Instant::now();
    let mut ticks = interval(BETWEEN_OTHERS);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut deliveries = JoinSet::new();
    for number in 0.. {
        let due = ticks.tick().await;
        if start.elapsed() > PHASE {
            break;
        }
        let (log, id) = (log.clone(), format!("evt_{name}_{number}"));
        deliveries.spawn(async move {
            let is_marked = log.try_mark_processed(&id).await.is_ok();
            (due.elapsed(), is_marked)
        });
    }
    let delivered = deliveries.join_all().await;
    let failed = delivered.iter().filter(|(_, is_marked)| !is_marked).count();
    (delivered.into_iter().map(|(took, _)| took).collect(), failed)
}
