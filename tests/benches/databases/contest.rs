//! Handlers side by side: in one process, in turns, over several rounds.

use std::pin::Pin;
use std::sync::Arc;

use ferro_idem::{ClaimLog, ProcessedEventLog};

use crate::load::{Handler, Timing, deliver, deliveries, new_events};
use crate::ours::{Attribute, Claim, Fence};
use crate::report::median;

const ROUNDS: usize = 3;

pub(crate) type Ready<'f, T> = Pin<Box<dyn Future<Output = T> + Send + 'f>>;

/// One under test.
pub(crate) trait Database: Sync {
    const NAME: &'static str;
    /// What [`bulk`](Self::bulk) is called.
    const LIMIT: &'static str;
    type Log: ProcessedEventLog + ClaimLog + 'static;

    fn log(&self) -> Self::Log;
    fn log_alone(&self) -> Self::Log;
    fn fence_by_hand(&self) -> Arc<dyn Handler>;
    fn claim_by_hand(&self) -> Arc<dyn Handler>;
    /// Empties the tables.
    fn clear(&self) -> Ready<'_, ()>;
    /// Marks all of these new events at once. Seconds.
    fn bulk<'f>(&'f self, ids: &'f [&'f str]) -> Ready<'f, f64>;
}

/// The handlers of one guarantee, by name. The first is what the others are compared with.
pub(crate) struct Contest {
    pub(crate) what: &'static str,
    pub(crate) handlers: Vec<(&'static str, Arc<dyn Handler>)>,
}

impl Contest {
    pub(crate) fn fence<D: Database>(database: &D) -> Self {
        let handlers: Vec<(_, Arc<dyn Handler>)> = vec![
            ("by hand", database.fence_by_hand()),
            ("ours, alone", Arc::new(Fence(database.log_alone()))),
            ("ours, group commit", Arc::new(Fence(database.log()))),
        ];
        Self { what: "fence", handlers }
    }

    pub(crate) fn attribute<D: Database>(database: &D) -> Self {
        let handlers: Vec<(_, Arc<dyn Handler>)> = vec![
            ("by hand", database.fence_by_hand()),
            ("the attribute", Arc::new(Attribute(database.log()))),
        ];
        Self { what: "fence under the attribute", handlers }
    }

    pub(crate) fn claim<D: Database>(database: &D) -> Self {
        let handlers: Vec<(_, Arc<dyn Handler>)> = vec![
            ("by hand", database.claim_by_hand()),
            ("ours, alone", Arc::new(Claim(database.log_alone()))),
            ("ours, group commit", Arc::new(Claim(database.log()))),
        ];
        Self { what: "claim + complete", handlers }
    }
}

/// What one handler took with so many in flight: medians of the rounds.
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) per_second: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

/// The figures of one contest with so many in flight.
pub(crate) struct Cell {
    pub(crate) in_flight: usize,
    pub(crate) figures: Vec<Figure>,
    /// New events a second, of the last handler, over those of one bulk insert of the same.
    pub(crate) of_the_limit: f64,
}

impl Cell {
    /// How many times as fast as the first.
    pub(crate) fn times(&self, figure: &Figure) -> f64 {
        figure.per_second / self.figures[0].per_second
    }
}

/// Each handler gets deliveries for about so many seconds: as many in every round.
pub(crate) async fn hold<D: Database>(
    database: &D,
    contest: &Contest,
    in_flight: usize,
    seconds: f64,
) -> Cell {
    let mut works = Vec::new();
    for (_, handler) in &contest.handlers {
        database.clear().await;
        let warm_up = deliver(handler, &deliveries(in_flight * 8 + 200), in_flight).await;
        database.clear().await;
        // The second run is the one to judge by: connections and statements are there.
        let rate = deliver(handler, &deliveries(warm_up.deliveries), in_flight).await.per_second();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some thousands")]
        works.push(deliveries((rate * seconds) as usize + in_flight * 4));
    }
    let mut timings: Vec<Vec<Timing>> = vec![Vec::new(); contest.handlers.len()];
    let mut of_the_limit = Vec::new();
    for _ in 0..ROUNDS {
        for (((_, handler), work), timings) in contest.handlers.iter().zip(&works).zip(&mut timings) {
            database.clear().await;
            timings.push(deliver(handler, work, in_flight).await);
        }
        if let (Some(work), Some(timing)) = (works.last(), timings.last().and_then(|last| last.last())) {
            database.clear().await;
            of_the_limit.push(database.bulk(&new_events(work)).await / timing.seconds);
        }
    }
    let figure = |(name, timings): (&'static str, Vec<Timing>)| {
        let median_of = |read: fn(&Timing) -> f64| median(timings.iter().map(read).collect());
        Figure {
            name,
            per_second: median_of(Timing::per_second),
            p50: median_of(|timing| timing.p50),
            p99: median_of(|timing| timing.p99),
        }
    };
    let names = contest.handlers.iter().map(|(name, _)| *name);
    let figures = names.zip(timings).map(figure).collect();
    Cell { in_flight, figures, of_the_limit: median(of_the_limit) }
}

pub(crate) fn print_head<D: Database>(contest: &Contest) {
    println!("\n{}, {}: deliveries a second, half of them duplicates\n", D::NAME, contest.what);
    println!(
        "in flight   {:<20} {:>10} {:>9} {:>9} {:>8}   of the limit ({})",
        "",
        "a second",
        "p50 ms",
        "p99 ms",
        "times",
        D::LIMIT
    );
}

pub(crate) fn print(cell: &Cell) {
    for (position, figure) in cell.figures.iter().enumerate() {
        let is_last = position + 1 == cell.figures.len();
        let limit = if is_last { format!("{:>8.2}", cell.of_the_limit) } else { String::new() };
        println!(
            "{:>9}   {:<20} {:>10.0} {:>9.2} {:>9.2} {:>8.2}   {limit}",
            cell.in_flight,
            figure.name,
            figure.per_second,
            figure.p50,
            figure.p99,
            cell.times(figure)
        );
    }
}
