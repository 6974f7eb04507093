//! Compares the logs on SQL databases with statements written by hand: deliveries per second and the time of
//! one, with few and with many in flight.
//!
//! `cargo bench -p ferro-idem-tests --bench databases`; `-- --log postgres --guarantee fence --in-flight 256
//! --seconds 1` measures a part of it. The guarantees are `fence`, `attribute`, `claim`, `transaction` and `open-loop`.
//! All of it also draws the plots in `docs/benchmarks`.

mod contest;
mod cpu;
mod load;
mod mariadb;
mod open_loop;
mod ours;
#[path = "../plot/mod.rs"]
mod plot;
mod postgres;
#[path = "../report/mod.rs"]
mod report;
mod selection;
mod sqlite;
#[path = "../stripe_ids/mod.rs"]
mod stripe_ids;
mod transaction;

use std::error::Error;

use contest::{Cell, Contest, Database, Figure, hold, print, print_head};
use load::count;
use mariadb::MariaDb;
use plot::Chart;
use postgres::PostgreSql;
use report::{Reach, print_load};
use selection::Selection;
use sqlite::Sqlite;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let selection = Selection::from_arguments()?;
    let (mut reach, mut claims) = (Reach::default(), Vec::new());
    print_load("before");
    if selection.has_log("postgres") {
        let database = PostgreSql::start().await;
        let fence = compare("postgres", &database, &selection, &mut reach, &mut claims).await?;
        if selection.has_guarantee("attribute") {
            run(&database, &Contest::attribute(&database), &[256], selection.seconds).await;
        }
        if selection.has_guarantee("open-loop") {
            let contest = Contest::fence(&database);
            let latencies = open_loop::compare(&database, &contest, 256, selection.seconds).await;
            if let [.., alone, ours] = &latencies[..] {
                let what =
                    "PostgreSQL fence, p99 ms of arrivals at a fixed rate, against without group commit";
                reach.lower(what, ours.p99, alone.p99);
            }
        }
        for cell in &fence {
            let ratio = cell.times(cell.ours());
            match cell.in_flight {
                1 => reach.at_least("PostgreSQL fence, 1 in flight, against by hand", 0.95, ratio),
                16 => reach.at_least("PostgreSQL fence, 16 in flight, against by hand", 2.0, ratio),
                256 => reach.at_least("PostgreSQL fence, 256 in flight, against by hand", 10.0, ratio),
                1024 => {
                    let what = "PostgreSQL fence, 1,024 in flight, against one bulk insert";
                    reach.at_least(what, 0.5, cell.of_the_limit);
                }
                _ => {}
            }
        }
    }
    if selection.has_log("sqlite") {
        let database = Sqlite::open().await;
        let fence = compare("sqlite", &database, &selection, &mut reach, &mut claims).await?;
        for cell in fence.iter().filter(|cell| cell.in_flight == 256) {
            reach.at_least("SQLite fence, 256 in flight, against by hand", 20.0, cell.times(cell.ours()));
        }
    }
    if selection.has_log("mariadb") {
        let database = MariaDb::start().await;
        let fence = compare("mariadb", &database, &selection, &mut reach, &mut claims).await?;
        for cell in fence.iter().filter(|cell| cell.in_flight == 256) {
            reach.at_least("MariaDB fence, 256 in flight, against by hand", 5.0, cell.times(cell.ours()));
        }
    }
    if selection.is_whole() {
        plot::write("claims", &claims)?;
    }
    print_load("after");
    reach.print();
    Ok(())
}

/// Fence and claim on one database. Returns the fence's figures; the chart of the claims goes to `claims`.
async fn compare<D: Database>(
    name: &str,
    database: &D,
    selection: &Selection,
    reach: &mut Reach,
    claims: &mut Vec<Chart>,
) -> Result<Vec<Cell>, Box<dyn Error>> {
    let (mut fence, mut claim) = (Vec::new(), Vec::new());
    if selection.has_guarantee("fence") {
        fence = run(database, &Contest::fence(database), &selection.in_flight(), selection.seconds).await;
    }
    if selection.has_guarantee("claim") {
        claim = run(database, &Contest::claim(database), &selection.in_flight(), selection.seconds).await;
    }
    if selection.has_guarantee("transaction") {
        let in_flight = selection.in_flight.map_or(vec![1, 64], |only| vec![only]);
        for cell in run(database, &Contest::transaction(database), &in_flight, selection.seconds).await {
            let what = format!("{} transaction, {} in flight, against by hand", D::NAME, cell.in_flight);
            reach.at_least(&what, if cell.in_flight == 1 { 0.95 } else { 1.0 }, cell.times(cell.ours()));
        }
    }
    for cell in fence.iter().filter(|cell| cell.in_flight == 256) {
        let what = format!("{} fence, p99 ms at 256 in flight, against by hand", D::NAME);
        reach.lower(&what, cell.ours().p99, cell.by_hand().p99);
    }
    for cell in claim.iter().filter(|cell| cell.in_flight == 256 && D::NAME == PostgreSql::NAME) {
        let what = "PostgreSQL claim + complete, 256 in flight, against by hand";
        reach.at_least(what, 8.0, cell.times(cell.ours()));
    }
    let chart = |what: &str, cells: &[Cell], read: fn(&Figure) -> f64| Chart {
        title: format!("{}, {what}", D::NAME),
        horizontal: "deliveries in flight".to_owned(),
        lines: lines(cells, read),
    };
    if selection.is_whole() {
        plot::write(
            name,
            &[
                chart("fence: deliveries per second", &fence, |figure| figure.per_second),
                chart("fence: p99 in ms", &fence, |figure| figure.p99),
            ],
        )?;
    }
    claims.push(chart("claim + complete: per second", &claim, |figure| figure.per_second));
    Ok(fence)
}

async fn run<D: Database>(database: &D, contest: &Contest, in_flight: &[usize], seconds: f64) -> Vec<Cell> {
    print_head::<D>(contest);
    let mut cells = Vec::new();
    for &in_flight in in_flight {
        let cell = hold(database, contest, in_flight, seconds).await;
        print(&cell);
        cells.push(cell);
    }
    cells
}

fn lines(cells: &[Cell], read: fn(&Figure) -> f64) -> Vec<(String, Vec<(f64, f64)>)> {
    let handlers = cells.first().map_or(0, |cell| cell.figures.len());
    let line = |handler: usize| {
        let points = cells.iter().map(|cell| (count(cell.in_flight), read(&cell.figures[handler])));
        (cells[0].figures[handler].name.to_owned(), points.collect())
    };
    (0..handlers).map(line).collect()
}
