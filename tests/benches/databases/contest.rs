//! Compares handlers in one process: each has its own table, and they take short turns.

use std::pin::Pin;
use std::sync::Arc;

use ferro_idem::{ClaimLog, ProcessedEventLog};

use crate::load::{Handler, Round, count, deliveries, new_events};
use crate::ours::{Attribute, Claim, Fence};
use crate::report::median;
use crate::transaction::Handlers;

const ROUNDS: usize = 3;
/// The turns of each handler in a round. They are short, so that other load on the machine affects all
/// handlers alike.
const TURNS: usize = 4;

pub(crate) type Ready<'f, T> = Pin<Box<dyn Future<Output = T> + Send + 'f>>;

/// One under test.
pub(crate) trait Database: Sync {
    const NAME: &'static str;
    /// What [`bulk`](Self::bulk) is called.
    const LIMIT: &'static str;
    type Log: ProcessedEventLog + ClaimLog + 'static;

    fn log(&self) -> Self::Log;
    fn log_alone(&self) -> Self::Log;
    /// The statement that is usually written by hand.
    fn fence_by_hand(&self) -> Arc<dyn Handler>;
    /// The same, and an update after the work.
    fn claim_by_hand(&self) -> Arc<dyn Handler>;
    /// Mark and one effect in one transaction: by hand, and the log's.
    fn transactions(&self) -> Handlers;
    /// Empties the tables.
    fn clear(&self) -> Ready<'_, ()>;
    /// Marks all of these new events at once, in a table of their own. Seconds.
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
            ("without group commit", Arc::new(Fence(database.log_alone()))),
            ("with group commit", Arc::new(Fence(database.log()))),
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
            ("without group commit", Arc::new(Claim(database.log_alone()))),
            ("with group commit", Arc::new(Claim(database.log()))),
        ];
        Self { what: "claim + complete", handlers }
    }

    pub(crate) fn transaction<D: Database>(database: &D) -> Self {
        let [by_hand, ours] = database.transactions();
        Self {
            what: "transaction with one effect",
            handlers: vec![("by hand", by_hand), ("the attribute", ours)],
        }
    }
}

/// The figures of one handler with so many deliveries in flight: medians of the rounds.
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) per_second: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// Microseconds of processor a delivery, here and in the server.
    cpu: [f64; 2],
}

/// The figures of one contest with so many in flight.
pub(crate) struct Cell {
    pub(crate) in_flight: usize,
    pub(crate) figures: Vec<Figure>,
    /// New events a second of the last handler, over those of the limit.
    pub(crate) of_the_limit: f64,
}

impl Cell {
    pub(crate) fn by_hand(&self) -> &Figure {
        &self.figures[0]
    }

    pub(crate) fn ours(&self) -> &Figure {
        &self.figures[self.figures.len() - 1]
    }

    /// How many times as fast as by hand.
    pub(crate) fn times(&self, figure: &Figure) -> f64 {
        figure.per_second / self.by_hand().per_second
    }
}

/// One handler, and how far it is in its deliveries.
struct Entrant {
    name: &'static str,
    handler: Arc<dyn Handler>,
    delivered: usize,
    /// Deliveries in each turn.
    work: usize,
    rounds: Vec<Round>,
}

impl Entrant {
    /// Finds how many deliveries take so long.
    async fn warm_up(&mut self, in_flight: usize, seconds: f64) {
        // The second run counts, because its connections and statements exist already.
        let mut rate = 0.0;
        for _ in 0..2 {
            let mut round = Round::default();
            let ids = self.next(in_flight * 6 + 100);
            round.deliver(&self.handler, &ids, in_flight).await;
            rate = round.per_second();
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some thousands")]
        let work = (rate * seconds) as usize;
        self.work = work.max(in_flight * 2).max(20).next_multiple_of(2);
    }

    /// Its next deliveries.
    fn next(&mut self, work: usize) -> Arc<[String]> {
        let ids = deliveries(self.delivered..self.delivered + work);
        self.delivered += work;
        ids
    }
}

/// Each handler gets deliveries for about so many seconds a round, as many in every round.
pub(crate) async fn hold<D: Database>(
    database: &D,
    contest: &Contest,
    in_flight: usize,
    seconds: f64,
) -> Cell {
    database.clear().await;
    let mut entrants = Vec::new();
    for (name, handler) in &contest.handlers {
        let handler = Arc::clone(handler);
        let mut entrant = Entrant { name, handler, delivered: 0, work: 0, rounds: Vec::new() };
        entrant.warm_up(in_flight, seconds / count(TURNS)).await;
        entrants.push(entrant);
    }
    let mut of_the_limit = Vec::new();
    for _ in 0..ROUNDS {
        for entrant in &mut entrants {
            entrant.rounds.push(Round::default());
        }
        let mut limit = 0.0;
        for _ in 0..TURNS {
            let mut last = Vec::new().into();
            for entrant in &mut entrants {
                last = entrant.next(entrant.work);
                let Some(round) = entrant.rounds.last_mut() else { continue };
                round.deliver(&entrant.handler, &last, in_flight).await;
            }
            limit += database.bulk(&new_events(&last)).await;
        }
        let ours = entrants.last().and_then(|entrant| entrant.rounds.last());
        of_the_limit.extend(ours.map(|ours| limit / ours.seconds));
    }
    let figures = entrants.into_iter().map(figure).collect();
    Cell { in_flight, figures, of_the_limit: median(of_the_limit) }
}

/// What each handler takes in a second.
pub(crate) async fn capacity<D: Database>(
    database: &D,
    contest: &Contest,
    in_flight: usize,
    seconds: f64,
) -> Vec<f64> {
    let cell = hold(database, contest, in_flight, seconds).await;
    cell.figures.iter().map(|figure| figure.per_second).collect()
}

fn figure(Entrant { name, mut rounds, .. }: Entrant) -> Figure {
    let per_second = median(rounds.iter().map(Round::per_second).collect());
    let (p50, p99) = rounds.iter_mut().map(Round::percentiles).map(|[p50, p99]| (p50, p99)).unzip();
    let cpu = [0, 1].map(|side| median(rounds.iter().map(|round| round.cpu()[side]).collect()));
    Figure { name, per_second, p50: median(p50), p99: median(p99), cpu }
}

pub(crate) fn print_head<D: Database>(contest: &Contest) {
    println!("\n{}, {}: half of the deliveries are duplicates", D::NAME, contest.what);
    println!("limit: {} of the same new events\n", D::LIMIT);
    println!(
        "in flight   handler                a second    p50 ms    p99 ms   cpu us: here, server    times   of the limit"
    );
}

pub(crate) fn print(cell: &Cell) {
    for figure in &cell.figures {
        let Figure { name, per_second, p50, p99, cpu: [client, server] } = figure;
        print!("{:>9}   {name:<22} {per_second:>10.0} {p50:>9.2} {p99:>9.2}", cell.in_flight);
        print!(" {client:>14.1} {server:>8.1} {:>8.2}", cell.times(figure));
        if std::ptr::eq(figure, cell.ours()) {
            print!(" {:>14.2}", cell.of_the_limit);
        }
        println!();
    }
}
