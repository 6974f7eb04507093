//! A store that does not answer for a minute, under load, with senders that do not wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ferro_idem::{ClaimLog, EventRef, Owner};
use tokio::runtime::Handle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use crate::database::{Database, Held, open, proxy_before};
use crate::figures::Figure;
use crate::report::megabytes;

const POOL: u32 = 10;
const OUTAGE: Duration = Duration::from_mins(1);
const A_SECOND: u32 = 437;
const HANGS_UP_AFTER: Duration = Duration::from_secs(1);
const LEASE: Duration = Duration::from_mins(1);
const LOOKED_AT: [Duration; 4] =
    [Duration::from_secs(10), Duration::from_secs(20), Duration::from_secs(40), Duration::from_secs(59)];

/// Tasks in place of a few hundred callers' own.
const MAX_TASKS: usize = 1_000;

pub(crate) async fn measure<D: Database>(database: &D, group_commit: bool) -> Figure {
    let proxy = proxy_before(database).await;
    let log = open(database, group_commit, proxy.as_ref(), POOL).await;
    let held: Option<Held> = match &proxy {
        Some(proxy) => {
            proxy.stall(OUTAGE);
            None
        }
        None => Some(database.lock_table().await),
    };
    let start = Instant::now();
    let senders = Arc::new(AtomicUsize::new(0));
    let load = tokio::spawn(send(log.clone(), Arc::clone(&senders)));
    let (mut tasks, mut memory) = (Vec::new(), Vec::new());
    for moment in LOOKED_AT {
        sleep(moment.saturating_sub(start.elapsed())).await;
        tasks.push(beside(&senders));
        memory.push(megabytes());
    }
    sleep(OUTAGE.saturating_sub(start.elapsed())).await;
    drop(held);
    load.abort();
    sleep(Duration::from_secs(15)).await;
    let left = beside(&senders);
    let is_flat = tasks.iter().all(|&tasks| tasks <= MAX_TASKS) && memory[3] <= memory[1] + memory[1] / 5 + 5;
    let text = format!("at 10, 20, 40, 59 s: {tasks:?} tasks, {memory:?} MB; 15 s after it {left} tasks");
    Figure::new(is_flat, text)
}

/// Tasks of the log, beside those of the senders.
fn beside(senders: &AtomicUsize) -> usize {
    let alive = Handle::current().metrics().num_alive_tasks();
    alive.saturating_sub(senders.load(Ordering::SeqCst))
}

async fn send<L: ClaimLog + Clone + 'static>(log: L, senders: Arc<AtomicUsize>) {
    let mut ticks = interval(Duration::from_secs(1) / A_SECOND);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for number in 0_u64.. {
        ticks.tick().await;
        let (log, senders) = (log.clone(), Arc::clone(&senders));
        senders.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(async move {
            let id = format!("evt_{number}");
            let event = EventRef::new(&id).expect("it is an id");
            let owner = Owner::random().expect("there is randomness");
            drop(timeout(HANGS_UP_AFTER, log.claim(event, owner, LEASE)).await);
            senders.fetch_sub(1, Ordering::SeqCst);
        });
    }
}
