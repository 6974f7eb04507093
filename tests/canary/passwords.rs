//! Errors and traces of a store whose URL holds a password.

use std::path::Path;
use std::time::Duration;

use ferro_idem::{
    ClaimLog, Error, EventRef, MySqlLog, Owner, PostgresLog, ProcessedEventLog, RedisLog, SqliteLog,
    TransactionalLog,
};
use redis::aio::ConnectionManagerConfig;
use sqlx::ConnectOptions;
use sqlx::mysql::MySqlPoolOptions;
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::shown::{
    CANARY, all_of, assert_error_is_silent, assert_silent, assert_traces_are_silent, listen, reply,
};

/// Waits for the password, in clear text, and refuses it.
const POSTGRES: &[&[u8]] = &[
    b"R\0\0\0\x08\0\0\0\x03",
    b"E\0\0\0\x49SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed for user \"app\"\0\0",
];

/// Refuses every client.
const MYSQL: &[&[u8]] =
    &[b"\x47\0\0\0\xff\x15\x04#28000Access denied for user 'app'@'localhost' (using password: YES)"];

/// Answers each of the commands with which a connection begins.
const REDIS: &[&[u8]] =
    &[b"-WRONGPASS invalid username-password pair\r\n-NOAUTH who is it?\r\n-NOAUTH who is it?\r\n"];

#[derive(Clone, Copy, PartialEq)]
enum Speaks {
    First,
    WhenAsked,
}

/// A server that answers each message with the next of these replies.
async fn refusing(says: &'static [&'static [u8]], speaks: Speaks) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut message = [0; 4096];
            for said in says {
                if speaks == Speaks::WhenAsked {
                    drop(client.read(&mut message).await);
                }
                drop(client.write_all(said).await);
            }
            while client.read(&mut message).await.is_ok_and(|read| read > 0) {}
        }
    });
    port
}

/// A port on which no server listens.
async fn nowhere() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

/// Checks that no guarantee's error shows the password.
async fn assert_log_is_silent<L>(who: &str, log: &L)
where
    L: ProcessedEventLog + ClaimLog + std::fmt::Debug,
{
    assert_silent(who, &format!("{log:?} {log:#?}"));
    let (event, owner) = (EventRef::new("evt_1").unwrap(), Owner::random().unwrap());
    let marked = log.try_mark_event(event).await.expect_err(who);
    let claimed = log.claim(event, owner, Duration::from_mins(1)).await.expect_err(who);
    for error in [marked, claimed] {
        assert!(matches!(error, Error::Store { .. }), "{error}");
        assert_error_is_silent(who, error).await;
    }
    assert_traces_are_silent(&[]);
}

async fn assert_begin_is_silent<L: TransactionalLog>(who: &str, log: &L) {
    assert_error_is_silent(who, log.begin().await.map(drop).expect_err(who)).await;
}

/// If there is a server, it gets enough time to refuse. If there is none, waiting is useless.
fn patience(said: &str) -> Duration {
    if said.contains("refused") { Duration::from_secs(20) } else { Duration::from_millis(300) }
}

#[tokio::test]
async fn no_password_is_shown_if_postgres_refuses_or_is_absent() {
    listen();
    for (who, port, said) in [
        (
            "PostgreSQL refusing",
            refusing(POSTGRES, Speaks::WhenAsked).await,
            "refused the user or the password",
        ),
        ("PostgreSQL nowhere", nowhere().await, "no connection became free"),
    ] {
        let url = format!("postgres://app:{CANARY}@127.0.0.1:{port}/shop?sslmode=disable");
        let options = PgPoolOptions::new().acquire_timeout(patience(said));
        let log = PostgresLog::new(options.connect_lazy(&url).unwrap());
        let error = log.try_mark_processed("evt_1").await.unwrap_err();
        assert!(error.to_string().contains(said), "{who}: {}", all_of(&error));
        assert_log_is_silent(who, &log).await;
        assert_begin_is_silent(who, &log).await;
    }
}

#[tokio::test]
async fn no_password_of_a_mysql_server_that_refuses_or_is_not_there() {
    listen();
    for (who, port, said) in [
        ("MySQL refusing", refusing(MYSQL, Speaks::First).await, "refused the user or the password"),
        ("MySQL nowhere", nowhere().await, "no connection became free"),
    ] {
        let url = format!("mysql://app:{CANARY}@127.0.0.1:{port}/shop?ssl-mode=DISABLED");
        let options = MySqlPoolOptions::new().acquire_timeout(patience(said));
        let log = MySqlLog::new(options.connect_lazy(&url).unwrap());
        let error = log.try_mark_processed("evt_1").await.unwrap_err();
        assert!(error.to_string().contains(said), "{who}: {}", all_of(&error));
        assert_log_is_silent(who, &log).await;
        assert_begin_is_silent(who, &log).await;
    }
}

#[tokio::test]
async fn no_password_of_a_redis_server_that_refuses_or_is_not_there() {
    listen();
    for (who, port, said) in [
        ("Redis refusing", refusing(REDIS, Speaks::WhenAsked).await, "another user or password"),
        ("Redis nowhere", nowhere().await, "no connection to the server"),
    ] {
        let client = redis::Client::open(format!("redis://app:{CANARY}@127.0.0.1:{port}")).unwrap();
        let config = ConnectionManagerConfig::new().set_number_of_retries(0);
        let log = RedisLog::new(client.get_connection_manager_lazy(config).unwrap());
        let error = log.try_mark_processed("evt_1").await.unwrap_err();
        assert!(error.to_string().contains(said), "{who}: {}", all_of(&error));
        assert_log_is_silent(who, &log).await;
    }
}

/// As `SQLCipher` takes it. sqlx tells the statement at DEBUG, the key in it, unless it is told not to.
#[tokio::test]
async fn no_key_of_a_sqlite_file_that_cannot_be_used() {
    listen();
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("events.db");
    std::fs::write(&file, "not a database, and long enough to be taken for one".repeat(20)).unwrap();
    for (who, path) in
        [("SQLite, no database", &*file), ("SQLite, no folder", Path::new("/nowhere/events.db"))]
    {
        let options = SqliteConnectOptions::new().filename(path).pragma("key", format!("'{CANARY}'"));
        let options = options.disable_statement_logging();
        let log = SqliteLog::new(SqlitePoolOptions::new().connect_lazy_with(options));
        assert_log_is_silent(who, &log).await;
        assert_begin_is_silent(who, &log).await;
    }
}

#[tokio::test]
async fn the_sender_does_not_learn_the_database_file() {
    let path = format!("/nowhere/{CANARY}.db");
    let error = SqliteLog::open(&path).await.unwrap_err();
    assert!(error.to_string().contains(&path), "{error}");
    assert_silent("the reply", &reply(error).await);
}
