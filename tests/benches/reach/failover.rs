//! A failover: every pooled connection goes nowhere, and new ones work.

use std::time::Duration;

use ferro_idem::ProcessedEventLog;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::database::{Database, open, proxy_before};
use crate::figures::Figure;

const POOL: u32 = 20;
const CALLERS: usize = 20;
const WATCHED: Duration = Duration::from_mins(1);
const GOAL: Duration = Duration::from_secs(3);

pub(crate) async fn measure<D: Database>(database: &D, group_commit: bool) -> Figure {
    let proxy = proxy_before(database).await.expect("there is a server");
    let log = open(database, group_commit, Some(&proxy), POOL).await;
    proxy.strand();
    let start = Instant::now();
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let log = log.clone();
        callers.spawn(async move { calls(&log, caller, start).await });
    }
    let calls = callers.join_all().await;
    let failed: usize = calls.iter().map(|calls| calls.failed).sum();
    let first = calls.iter().filter_map(|calls| calls.first_success).min();
    let last = calls.iter().map(|calls| calls.first_success.unwrap_or(WATCHED)).max().unwrap_or_default();
    let first = first.unwrap_or(WATCHED);
    let text = format!(
        "first success after {:.1} s, of the last caller after {:.1} s; {failed} calls fail",
        first.as_secs_f64(),
        last.as_secs_f64()
    );
    Figure::new(first <= GOAL, text)
}

struct Calls {
    first_success: Option<Duration>,
    failed: usize,
}

/// Calls until one succeeds.
async fn calls<L: ProcessedEventLog>(log: &L, caller: usize, start: Instant) -> Calls {
    let mut failed = 0;
    while start.elapsed() < WATCHED {
        if log.try_mark_processed(&format!("evt_{caller}_{failed}")).await.is_ok() {
            return Calls { first_success: Some(start.elapsed()), failed };
        }
        failed += 1;
        sleep(Duration::from_millis(100)).await;
    }
    Calls { first_success: None, failed }
}
