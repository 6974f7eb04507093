//! Events that are lost after an error: the delivery was answered with an error, and a later one as a duplicate,
//! although no delivery has run.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ferro_idem::ProcessedEventLog;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use crate::database::{Database, Held, open};
use crate::figures::Figure;

const POOL: u32 = 16;
const REDELIVERED_AFTER: Duration = Duration::from_secs(1);
const LOCKED_FOR: Duration = Duration::from_secs(25);

/// How long after the fault every event may take to be acknowledged.
const PATIENCE: Duration = Duration::from_mins(1);

const MAX_WAITING: usize = 2 * POOL as usize;

/// What is wrong with the store for a while.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    TableLock,
    RowLocks,
    Stop(Duration),
}

#[derive(Default)]
struct Tally {
    /// Deliveries that were answered with an error.
    errors: AtomicUsize,
    lost: AtomicUsize,
    /// Duplicates whose earlier deliveries had no error, although no delivery has run.
    duplicates_of_nothing: AtomicUsize,
}

static TALLY: Tally = Tally {
    errors: AtomicUsize::new(0),
    lost: AtomicUsize::new(0),
    duplicates_of_nothing: AtomicUsize::new(0),
};

/// Delivers until it is acknowledged, as a sender does.
async fn deliver<L: ProcessedEventLog>(log: L, id: String) {
    let mut had_error = false;
    loop {
        match log.try_mark_processed(&id).await {
            Ok(true) => return,
            Ok(false) => {
                let list = if had_error { &TALLY.lost } else { &TALLY.duplicates_of_nothing };
                list.fetch_add(1, Ordering::Relaxed);
                return;
            }
            Err(_) => {
                had_error = true;
                TALLY.errors.fetch_add(1, Ordering::Relaxed);
                sleep(REDELIVERED_AFTER).await;
            }
        }
    }
}

pub(crate) async fn measure<D: Database>(database: &D, group_commit: bool, fault: Fault) -> Figure {
    let (events, length) = match fault {
        Fault::TableLock | Fault::RowLocks => (300_u32, LOCKED_FOR),
        Fault::Stop(length) => (100, length),
    };
    let ids: Vec<String> = (0..events).map(|event| format!("evt_{event}")).collect();
    let log = open(database, group_commit, None, POOL).await;
    let held = begin(database, fault, &ids).await;
    let start = Instant::now();
    let mut deliveries = JoinSet::new();
    for (number, id) in (0..events).zip(ids) {
        // Half of them come at once, and half of them all the time.
        let begins = if number % 2 == 0 { start } else { start + length * number / events };
        let log = log.clone();
        deliveries.spawn(async move {
            sleep_until(begins).await;
            deliver(log, id).await;
        });
    }
    let mut waiting = 0;
    while start.elapsed() < length {
        if !matches!(fault, Fault::Stop(_)) {
            waiting = waiting.max(database.waiting().await);
        }
        sleep(Duration::from_millis(250).min(length.saturating_sub(start.elapsed()))).await;
    }
    end(database, fault, held);
    let deadline = Instant::now() + PATIENCE;
    while let Ok(Some(_)) = timeout_at(deadline, deliveries.join_next()).await {}
    let unfinished = deliveries.len();
    let lost = TALLY.lost.load(Ordering::Relaxed);
    let others = TALLY.duplicates_of_nothing.load(Ordering::Relaxed);
    let errors = TALLY.errors.load(Ordering::Relaxed);
    let mut text = format!("{lost} of {events} lost after an error ({errors} errors)");
    if others > 0 {
        write!(text, ", {others} duplicates of nothing").expect("it is a string");
    }
    if unfinished > 0 {
        write!(text, ", {unfinished} not acknowledged").expect("it is a string");
    }
    let mut is_reached = lost + others + unfinished == 0;
    if matches!(fault, Fault::TableLock) && database.server().is_some() {
        write!(text, "; at most {waiting} backends wait").expect("it is a string");
        is_reached &= waiting <= MAX_WAITING;
    }
    Figure::new(is_reached, text)
}

async fn begin<D: Database>(database: &D, fault: Fault, ids: &[String]) -> Option<Held> {
    match (fault, database.server()) {
        (Fault::TableLock, _) => Some(database.lock_table().await),
        (Fault::RowLocks, _) => Some(database.lock_rows(ids).await),
        (Fault::Stop(_), Some((_, server))) => {
            server.pause();
            None
        }
        (Fault::Stop(_), None) => unreachable!("there is no server to stop"),
    }
}

fn end<D: Database>(database: &D, fault: Fault, held: Option<Held>) {
    drop(held);
    if let (Fault::Stop(_), Some((_, server))) = (fault, database.server()) {
        server.resume();
    }
}
