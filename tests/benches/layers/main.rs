//! What a transaction costs through each layer, against the three statements of the same transaction by hand on the same
//! driver: the mark, one effect, the commit.
//!
//! `cargo bench -p ferro-idem-layers --bench layers`; `-- --seconds 1 --only diesel` is a part.
//!
//! By hand, nothing tells a second delivery that the first one runs, and a body that commits or rolls back by itself is
//! not found out.

mod by_hand;
mod contest;
mod diesel;
#[path = "../report/mod.rs"]
mod report;
mod sea_orm;
mod tokio_postgres;

use std::time::Duration;

use ferro_idem_tests::servers::{MariaDb, Postgres};
use tempfile::TempDir;

use contest::{Contest, compare};
use report::{Reach, print_load};

const GOAL: f64 = 1.1;

#[tokio::main]
async fn main() {
    let argument = |name: &str| std::env::args().skip_while(|argument| argument != name).nth(1);
    let length = Duration::from_secs_f64(argument("--seconds").map_or(1.0, |text| text.parse().unwrap()));
    let only = argument("--only").unwrap_or_default();
    let (postgres, mariadb) = tokio::join!(
        Postgres::start_with(&["fsync=on"]),
        MariaDb::start_with(&["--innodb-flush-log-at-trx-commit=1"])
    );
    let folder = TempDir::new().unwrap();
    let sqlite = format!("sqlite://{}?mode=rwc", folder.path().join("events.db").display());
    let contests: [(&str, Contest); 6] = [
        ("PostgreSQL, sea-orm", sea_orm::contest(&postgres.fresh_database().await).await),
        ("PostgreSQL, diesel-async", diesel::on_postgres(&postgres.fresh_database().await).await),
        ("PostgreSQL, tokio-postgres", tokio_postgres::contest(&postgres.fresh_database().await).await),
        ("MariaDB, sea-orm", sea_orm::contest(&mariadb.fresh_database().await).await),
        ("MariaDB, diesel-async", diesel::on_mariadb(&mariadb.fresh_database().await).await),
        ("SQLite, sea-orm", sea_orm::contest(&sqlite).await),
    ];
    let mut reach = Reach::default();
    print_load("before");
    println!("| transactions a second | in flight | by hand | with its log | cost |\n|---|---|---|---|---|");
    for (name, contest) in contests.iter().filter(|(name, _)| name.contains(&only)) {
        for in_flight in [1, 16] {
            let (by_hand, ours) = compare(contest, in_flight, length).await;
            let cost = by_hand / ours;
            println!("| {name} | {in_flight} | {by_hand:.0} | {ours:.0} | {cost:.2} |");
            reach.at_most(&format!("{name}, {in_flight} in flight, cost of a transaction"), GOAL, cost);
        }
    }
    print_load("after");
    reach.print();
}
