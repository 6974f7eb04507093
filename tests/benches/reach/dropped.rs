//! Many concurrent deliveries of one event, whose senders all hang up.

use std::time::{Duration, Instant};

use ferro_idem::{Error, ProcessedEventLog};
use rand::RngExt;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::database::{Database, open};
use crate::figures::Figure;

const ROUNDS: usize = 300;
const DELIVERIES: usize = 1_000;
const MAX_STAY: Duration = Duration::from_millis(6);

/// Longer than a log takes a mark back.
const PATIENCE: Duration = Duration::from_secs(30);

/// So many losses are enough.
const MAX_LOST: usize = 5;

#[derive(Default)]
struct Rounds {
    /// The event never ran, and never will.
    lost: usize,
    /// Two deliveries ran.
    doubled: usize,
    /// A delivery was told "duplicate", and no delivery had run.
    duplicates_of_nothing: usize,
    /// Deliveries that were answered with an error.
    errors: usize,
}

pub(crate) async fn measure<D: Database>(database: &D, group_commit: bool) -> Figure {
    let (log, other) =
        (open(database, group_commit, None, 10).await, open(database, group_commit, None, 2).await);
    let mut rounds = Rounds::default();
    let mut round = 0;
    while round < ROUNDS && rounds.lost < MAX_LOST {
        rounds.run(&log, &other, &format!("evt_{round}")).await;
        round += 1;
    }
    let Rounds { lost, doubled, duplicates_of_nothing, errors } = rounds;
    let text = format!(
        "{lost} lost and {doubled} doubled in {round} rounds; {duplicates_of_nothing} rounds with a duplicate and no first; {errors} errors"
    );
    Figure::new(lost == 0 && doubled == 0, text)
}

impl Rounds {
    async fn run<L: ProcessedEventLog + Clone + 'static>(&mut self, log: &L, other: &L, id: &str) {
        let mut deliveries = JoinSet::new();
        for _ in 0..DELIVERIES {
            let (log, id) = (log.clone(), id.to_owned());
            let stay = MAX_STAY.mul_f64(rand::rng().random());
            deliveries.spawn(async move { timeout(stay, log.try_mark_processed(&id)).await });
        }
        let answers: Vec<Result<bool, Error>> =
            deliveries.join_all().await.into_iter().filter_map(Result::ok).collect();
        let firsts = answers.iter().filter(|answer| matches!(answer, Ok(true))).count();
        let duplicates = answers.iter().filter(|answer| matches!(answer, Ok(false))).count();
        self.errors += answers.len() - firsts - duplicates;
        self.doubled += usize::from(firsts > 1);
        self.duplicates_of_nothing += usize::from(firsts == 0 && duplicates > 0);
        let runs_later = runs_within(other, id, if firsts > 0 { Duration::ZERO } else { PATIENCE }).await;
        self.doubled += usize::from(firsts > 0 && runs_later);
        self.lost += usize::from(firsts == 0 && !runs_later);
    }
}

/// Whether a later delivery runs: the first one, or one within so long.
async fn runs_within<L: ProcessedEventLog>(log: &L, id: &str, within: Duration) -> bool {
    let start = Instant::now();
    loop {
        match log.try_mark_processed(id).await {
            Ok(true) => return true,
            Ok(false) if start.elapsed() >= within => return false,
            Err(_) if start.elapsed() >= PATIENCE => return false,
            Ok(false) | Err(_) => sleep(Duration::from_millis(5)).await,
        }
    }
}
