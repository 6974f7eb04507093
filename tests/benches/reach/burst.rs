//! A burst of marks with one that the table refuses.

use std::time::{Duration, Instant};

use ferro_idem::{EventRef, ProcessedEventLog};
use futures_util::future::join_all;

use crate::database::{Database, open, proxy_before};
use crate::figures::{Figure, milliseconds, percentile};

const BURST: usize = 1_000;
const POOL: u32 = 5;
const ONE_WAY: Duration = Duration::from_millis(10);
const ROUNDS: usize = 5;

pub(crate) async fn measure<D: Database>(database: &D, group_commit: bool) -> Figure {
    database.refuse().await;
    let proxy = proxy_before(database).await.expect("there is a server");
    let log = open(database, group_commit, Some(&proxy), POOL).await;
    proxy.delay(ONE_WAY);
    let (mut without, mut with, mut failed) = (Vec::new(), Vec::new(), 0);
    for round in 0..ROUNDS {
        without.push(burst(&log, &format!("plain_{round}"), None).await.0);
        let (took, others) = burst(&log, &format!("refused_{round}"), Some(BURST / 3)).await;
        with.push(took);
        failed += others;
    }
    let (without, with) = (percentile(50, &mut without), percentile(50, &mut with));
    let times = with.as_secs_f64() / without.as_secs_f64();
    let text = format!(
        "{failed} others fail in {ROUNDS} bursts; {} with, {} without it: {times:.1} times",
        milliseconds(with),
        milliseconds(without)
    );
    Figure::new(failed == 0 && times <= 3.0, text)
}

/// How long it took, and how many failed of those that the table does not refuse.
async fn burst<L: ProcessedEventLog>(log: &L, name: &str, refused: Option<usize>) -> (Duration, usize) {
    let start = Instant::now();
    let deliveries = (0..BURST).map(|event| async move {
        let id = format!("evt_{name}_{event}");
        let event_type = if refused == Some(event) { "refused" } else { "known" };
        let event_ref = EventRef::new(&id).expect("it is an id").with_type(event_type);
        log.try_mark_event(event_ref).await.is_err() && refused != Some(event)
    });
    let failed = join_all(deliveries).await.into_iter().filter(|has_failed| *has_failed).count();
    (start.elapsed(), failed)
}
