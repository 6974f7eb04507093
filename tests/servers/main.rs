//! The throw-away servers: each starts, keeps what it acknowledged through a kill, and is gone afterwards.

use std::net::TcpStream;
use std::process::{Command, Stdio};

use ferro_idem_tests::servers::{MariaDb, Postgres, Redis, RedisCluster, until};
use sqlx::{Connection, MySqlConnection, PgConnection};

fn listens(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn postgres_keeps_acknowledged_writes_and_ends_when_dropped() {
    let server = Postgres::start().await;
    let url = server.fresh_database().await;
    let run = async |sql: &'static str| {
        let mut connection = PgConnection::connect(&url).await.unwrap();
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap().rows_affected()
    };
    run("CREATE TABLE kept (id INT)").await;
    assert_eq!(run("INSERT INTO kept VALUES (1)").await, 1);
    server.server().kill();
    assert!(PgConnection::connect(&url).await.is_err());
    server.start_again().await;
    assert_eq!(run("DELETE FROM kept").await, 1);
    let port = server.server().port();
    drop(server);
    assert!(!listens(port));
}

#[tokio::test]
#[ignore = "needs MariaDB: run tests/run"]
async fn mariadb_keeps_acknowledged_writes_and_ends_when_dropped() {
    let server = MariaDb::start().await;
    let url = server.fresh_database().await;
    let run = async |sql: &'static str| {
        let mut connection = MySqlConnection::connect(&url).await.unwrap();
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap().rows_affected()
    };
    run("CREATE TABLE kept (id INT)").await;
    assert_eq!(run("INSERT INTO kept VALUES (1)").await, 1);
    server.server().kill();
    assert!(MySqlConnection::connect(&url).await.is_err());
    server.start_again().await;
    assert_eq!(run("DELETE FROM kept").await, 1);
    let port = server.server().port();
    drop(server);
    assert!(!listens(port));
}

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn redis_keeps_acknowledged_writes_and_ends_when_dropped() {
    let server = Redis::start().await;
    assert_eq!(server.tell::<String>("SET kept 1").await, "OK");
    server.server().kill();
    assert!(!listens(server.server().port()));
    server.start_again().await;
    assert_eq!(server.tell::<String>("GET kept").await, "1");
    let port = server.server().port();
    drop(server);
    assert!(!listens(port));
}

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn a_paused_server_keeps_its_connections() {
    let server = Redis::start().await;
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    server.server().pause();
    let ping = redis::cmd("PING");
    assert!(ping.query_async::<String>(&mut connection).await.unwrap_err().is_timeout());
    server.server().resume();
    let (ping, connection) = (&ping, &connection);
    until("it answers on the same connection", || async move {
        ping.query_async::<String>(&mut connection.clone()).await.is_ok_and(|answer| answer == "PONG")
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn a_cluster_shares_the_keys() {
    let cluster = RedisCluster::start().await;
    let mut connection = cluster.connection().await;
    for key in 0..100 {
        let set = redis::cmd("SET").arg(key).arg(key).query_async::<String>(&mut connection).await;
        assert_eq!(set.unwrap(), "OK");
    }
    for node in cluster.nodes() {
        assert!((1..100).contains(&node.tell::<u32>("DBSIZE").await));
    }
}

/// A killed test run leaves nothing behind.
#[tokio::test]
#[ignore = "needs PostgreSQL, MariaDB and Redis: run tests/run"]
async fn servers_and_folders_go_with_a_process_that_is_killed() {
    let mut run =
        Command::new(env!("CARGO_BIN_EXE_servers_until_killed")).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(run.stdout.take().unwrap()));
    let started: Vec<String> = (0..3).map(|_| lines.next().unwrap().unwrap()).collect();
    let started: Vec<(u16, &str)> = started
        .iter()
        .map(|line| line.split_once(' ').unwrap())
        .map(|(port, folder)| (port.parse().unwrap(), folder))
        .collect();
    assert!(started.iter().all(|&(port, folder)| listens(port) && std::fs::exists(folder).unwrap()));
    run.kill().unwrap();
    run.wait().unwrap();
    let started = &started;
    until("servers and folders are gone", || async move {
        started.iter().all(|&(port, folder)| !listens(port) && !std::fs::exists(folder).unwrap())
    })
    .await;
}
