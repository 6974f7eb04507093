//! Two handlers, measured in turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ferro_idem::{EventRef, MarkOutcome, TransactionalLog};
use futures_util::future::BoxFuture;

use crate::report::median;

/// Each is measured so often, in turn, and compared by its median.
const ROUNDS: usize = 5;

static NEXT: AtomicU64 = AtomicU64::new(0);

/// Delivers a new event.
type Handler = Arc<dyn Fn(String) -> BoxFuture<'static, ()> + Send + Sync>;

pub(crate) struct Contest {
    pub(crate) by_hand: Handler,
    pub(crate) ours: Handler,
}

pub(crate) fn handler<F: Future<Output = ()> + Send + 'static>(
    deliver: impl Fn(String) -> F + Send + Sync + 'static,
) -> Handler {
    Arc::new(move |id| Box::pin(deliver(id)))
}

/// The transaction of a log, up to the effect.
pub(crate) async fn begin<L: TransactionalLog>(log: &L, id: &str) -> L::Transaction {
    let mut transaction = log.begin().await.unwrap();
    let outcome = log.try_mark_in(&mut transaction, EventRef::new(id).unwrap()).await.unwrap();
    assert_eq!(outcome, MarkOutcome::First);
    transaction
}

pub(crate) async fn commit<L: TransactionalLog>(_: &L, transaction: L::Transaction) {
    L::commit(transaction).await.unwrap();
}

/// Transactions a second by hand, and with the log.
pub(crate) async fn compare(contest: &Contest, in_flight: usize, length: Duration) -> (f64, f64) {
    let (mut by_hand, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..=ROUNDS {
        by_hand.push(rate(&contest.by_hand, in_flight, length).await);
        ours.push(rate(&contest.ours, in_flight, length).await);
    }
    // The first round opens connections and prepares statements.
    (median(by_hand.split_off(1)), median(ours.split_off(1)))
}

async fn rate(deliver: &Handler, in_flight: usize, length: Duration) -> f64 {
    let (start, done) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    let callers: Vec<_> = (0..in_flight)
        .map(|_| {
            let (deliver, done) = (Arc::clone(deliver), Arc::clone(&done));
            tokio::spawn(async move {
                while start.elapsed() < length {
                    deliver(format!("evt_{}", NEXT.fetch_add(1, Ordering::Relaxed))).await;
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    #[expect(clippy::cast_precision_loss, reason = "it is counted in thousands")]
    let done = done.load(Ordering::Relaxed) as f64;
    done / start.elapsed().as_secs_f64()
}
