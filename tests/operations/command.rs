//! The command `ferro-idem`, as an operator runs it.

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use ferro_idem::{ClaimOutcome, EventRef, MySqlLog, Owner, PostgresLog, RedisLog, SqliteLog};
use ferro_idem_tests::servers::{Folder, MariaDb, Postgres, Redis};
use serde_json::Value;
use sqlx::{MySqlPool, PgPool};

use super::stores::Log;

/// With markup, quotes, a line break, a terminal escape, a right-to-left mark and a C1 control character.
pub(crate) const ODD: &str = "evt_<script>'\"\n\u{1b}[31m\u{202e}\u{9b}2J";

pub(crate) struct Operator {
    pub(crate) url: String,
}

pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Operator {
    pub(crate) fn run(&self, arguments: &str) -> Ran {
        self.run_words(&arguments.split_whitespace().collect::<Vec<_>>())
    }

    pub(crate) fn run_words(&self, words: &[&str]) -> Ran {
        let output: Output = Command::new(env!("CARGO_BIN_EXE_operator"))
            .args(words)
            .env("FERRO_IDEM_URL", &self.url)
            .env_remove("NO_COLOR")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).expect("the output is UTF-8");
        Ran { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// Runs it, and reads each line of the output as JSON.
    pub(crate) fn json(&self, arguments: &str) -> Vec<Value> {
        let ran = self.run(arguments);
        assert_eq!(ran.code, 0, "{arguments}: {}", ran.stderr);
        ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

async fn claim<L: Log>(log: &L, id: &str, lease: Duration) {
    let event = EventRef::new(id).unwrap().with_type("invoice.paid");
    let claimed = log.claim(event, Owner::random().unwrap(), lease).await.unwrap();
    assert!(matches!(claimed, ClaimOutcome::Acquired { .. }));
}

/// A log with an event of each state, and an id that a terminal or a page must not act on.
async fn filled<L: Log>(log: &L) {
    for id in ["evt_lost", ODD] {
        assert!(log.try_mark_event(EventRef::new(id).unwrap().with_type("a\tb")).await.unwrap());
    }
    claim(log, "evt_live", Duration::from_mins(10)).await;
    claim(log, "evt_stuck", Duration::ZERO).await;
}

/// What an operator does at night, on any store.
fn every_subcommand(operator: &Operator) {
    let check = operator.run("check");
    assert_eq!((check.code, check.stdout.as_str()), (0, ""), "{}", check.stderr);

    let stats = &operator.json("stats --json")[0];
    assert_eq!((&stats["total"], &stats["lease-ended"]["events"]), (&4.into(), &1.into()));
    assert!(operator.run("stats").stdout.contains("lease-ended"));

    let listed = operator.json("list --json");
    let ids: Vec<&str> = listed.iter().map(|event| event["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 4);
    assert!(ids.contains(&ODD), "an id comes back as it is: {ids:?}");
    for shown in [operator.run("list"), operator.run_words(&["show", ODD]), operator.run("list --json")] {
        assert_eq!(shown.code, 0, "{}", shown.stderr);
        let acts = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!shown.stdout.contains(acts), "{}", shown.stdout);
    }
    let stuck = operator.json("list --json --state lease-ended --type invoice.paid --max-age 1h");
    assert_eq!(stuck.len(), 1);
    assert_eq!(stuck[0]["id"], "evt_stuck");
    assert_eq!(operator.json("list --json --limit 2").len(), 2);
    assert_eq!(operator.json("list --json --all").len(), 4);

    // Nobody can be asked.
    for change in ["release evt_stuck", "complete evt_stuck", "forget evt_lost", "purge"] {
        let refused = operator.run(change);
        assert_eq!(refused.code, 6, "{change}");
        assert!(refused.stderr.contains("--yes"), "{}", refused.stderr);
    }
    assert_eq!(operator.run("show evt_nothing").code, 3);
    assert_eq!(operator.run("release evt_nothing --yes").code, 3);
    assert_eq!(operator.run("release evt_lost --yes").code, 5);
    assert_eq!(operator.run("release evt_live --token 7 --yes").code, 4);

    let released = operator.run("release evt_stuck evt_live --token 1 --yes --json");
    assert_eq!((released.code, released.stdout.lines().count()), (0, 2), "{}", released.stderr);
    assert_eq!(operator.run("complete evt_stuck --yes").code, 0);
    assert_eq!(operator.run("forget evt_lost --yes").code, 0);
    assert_eq!(operator.run_words(&["forget", ODD, "--yes"]).code, 0);
    let stats = &operator.json("stats --json")[0];
    assert_eq!((&stats["total"], &stats["released"]["events"]), (&2.into(), &1.into()));

    assert_eq!(operator.json("purge --yes --json")[0]["deleted"], 0);
    let top = operator.run("top --looks 2 --every 0s --json");
    assert_eq!((top.code, top.stdout.lines().count()), (0, 2), "{}", top.stderr);
    assert!(operator.run("top --looks 1").stdout.contains("STATE"));
}

#[tokio::test]
async fn every_subcommand_works_on_sqlite() {
    let folder = Folder::new();
    let path = folder.path().join("events.db");
    filled(&SqliteLog::open(&path).await.unwrap()).await;
    let operator = Operator { url: format!("sqlite:{}", path.display()) };
    every_subcommand(&operator);
    assert!(operator.run("schema").stdout.contains("CREATE TABLE"));
    assert_eq!(operator.run("upgrade").code, 0);
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn every_subcommand_works_on_postgres() {
    let url = Postgres::shared().await.fresh_database().await;
    let log = PostgresLog::new(PgPool::connect(&url).await.unwrap());
    log.create_table().await.unwrap();
    filled(&log).await;
    let operator = Operator { url };
    every_subcommand(&operator);
    assert!(operator.run("schema --table seen --schema billing").stdout.contains("\"billing\".\"seen\""));
    assert_eq!(operator.run("stats --table seen").code, 1);
    assert_eq!(operator.run("stats --table se;en").code, 2);
}

#[tokio::test]
#[ignore = "needs MariaDB: run tests/run"]
async fn every_subcommand_works_on_mariadb() {
    let url = MariaDb::shared().await.fresh_database().await;
    let log = MySqlLog::new(MySqlPool::connect(&url).await.unwrap());
    log.create_table().await.unwrap();
    filled(&log).await;
    let operator = Operator { url };
    every_subcommand(&operator);
    assert!(operator.run("schema").stdout.contains("VARBINARY"));
}

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn every_subcommand_works_on_redis() {
    let server = Redis::start().await;
    filled(&RedisLog::new(server.connection().await)).await;
    let operator = Operator { url: server.url() };
    every_subcommand(&operator);
    for refused in ["schema", "upgrade"] {
        assert_eq!(operator.run(refused).code, 5, "{refused}");
    }
    assert_eq!(operator.run("stats --table seen").code, 2);
}

#[tokio::test]
async fn a_plain_table_is_upgraded_by_the_command() {
    let folder = Folder::new();
    let url = format!("sqlite:{}", folder.path().join("events.db").display());
    let pool = sqlx::SqlitePool::connect(&format!("{url}?mode=rwc")).await.unwrap();
    sqlx::raw_sql(
        "CREATE TABLE stripe_processed_events (event_id TEXT PRIMARY KEY, event_type TEXT NOT NULL, \
         received_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP);
         INSERT INTO stripe_processed_events (event_id, event_type) VALUES ('evt_1', 'paid')",
    )
    .execute(&pool)
    .await
    .unwrap();
    let operator = Operator { url };
    assert!(operator.run("check").stderr.contains("UPGRADE"));
    let printed = operator.run("upgrade");
    assert_eq!((printed.code, printed.stdout.lines().count()), (0, 7));
    assert_eq!(operator.run("upgrade --run").code, 6);
    assert_eq!(operator.run("upgrade --run --yes").code, 0);
    assert_eq!(operator.run("upgrade").stdout, "");
    assert_eq!(operator.json("stats --json")[0]["processed"]["events"], 1);
}

#[test]
fn a_password_is_never_shown() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for url in [
        format!("redis://:gehe%69m@{closed}"),
        format!("redis://app:geheim@{closed}/x/y"),
        "postgres://app:geheim@[::1/shop".to_owned(),
        "mysql://app:geheim@host:port/shop".to_owned(),
        "oracle://app:geheim@host/shop".to_owned(),
    ] {
        let operator = Operator { url: url.clone() };
        let as_argument = ["stats", url.as_str()];
        for ran in [operator.run("stats"), operator.run_words(&as_argument), operator.run("--help")] {
            let shown = format!("{}{}", ran.stdout, ran.stderr);
            assert!(!shown.contains("geheim") && !shown.contains("gehe%69m"), "{shown}");
        }
    }
}

#[test]
fn mistakes_in_the_arguments_are_2() {
    let operator = Operator { url: String::new() };
    for mistake in
        ["", "stats", "nothing", "list --state done", "list --limit 0", "purge --older-than 5", "release"]
    {
        assert_eq!(operator.run(mistake).code, 2, "{mistake}");
    }
    let operator = Operator { url: "sqlite::memory:".to_owned() };
    for mistake in ["list --after zzz!", "stats --key-prefix x", "show --"] {
        assert_eq!(operator.run(mistake).code, 2, "{mistake}");
    }
}

#[test]
fn shells_complete_the_subcommands() {
    let operator = Operator { url: String::new() };
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let completions = operator.run(&format!("completions {shell}"));
        assert!(completions.code == 0 && completions.stdout.contains("release"), "{shell}");
    }
}
