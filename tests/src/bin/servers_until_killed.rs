//! Starts one server of each kind, says where they are, and waits to be killed.

use std::future::pending;

use ferro_idem_tests::servers::{MariaDb, Postgres, Redis};

#[tokio::main]
async fn main() {
    let (postgres, mariadb, redis) = tokio::join!(Postgres::start(), MariaDb::start(), Redis::start());
    for server in [postgres.server(), mariadb.server(), redis.server()] {
        println!("{} {}", server.port(), server.folder().display());
    }
    pending::<()>().await;
}
