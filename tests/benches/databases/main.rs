//! The logs on SQL databases against what one would write by hand.

mod contest;
mod load;
mod ours;
mod postgres;
#[path = "../report/mod.rs"]
mod report;
#[path = "../stripe_ids/mod.rs"]
mod stripe_ids;

use contest::{Contest, Database, hold, print, print_head};
use postgres::PostgreSql;

const IN_FLIGHT: [usize; 5] = [1, 16, 64, 256, 1024];

#[tokio::main]
async fn main() {
    let postgres = PostgreSql::start().await;
    run(&postgres, &Contest::fence(&postgres)).await;
    run(&postgres, &Contest::claim(&postgres)).await;
}

async fn run<D: Database>(database: &D, contest: &Contest) {
    print_head::<D>(contest);
    for in_flight in IN_FLIGHT {
        let cell = hold(database, contest, in_flight, 0.5).await;
        print(&cell);
    }
}
