//! The command's subcommands for an inbox.

use std::time::Duration;

use ferro_idem::__inbox::{InboxDatabase, InboxStore, NewDelivery, TakeLimits};
use ferro_idem::{EventRef, MySqlLog, PostgresLog, SqlLog, SqliteLog};
use ferro_idem_tests::servers::{Folder, MariaDb, Postgres};
use sqlx::{MySqlPool, PgPool};

use super::command::{ODD, Operator};

const SENDER: &str = "github";
const LEASE: Duration = Duration::from_mins(10);

async fn receive<D: InboxDatabase>(inbox: &InboxStore<D>, id: &str) {
    let event = EventRef::new(id).unwrap().with_type("push");
    inbox.receive(NewDelivery::new(event, Some("repo:1"), b"{}".to_vec())).await.unwrap();
}

/// Receives an event, and parks it with this error.
async fn park<D: InboxDatabase>(inbox: &InboxStore<D>, id: &str, error: &str) {
    receive(inbox, id).await;
    let taken = inbox.take(TakeLimits { events: 1, lease: LEASE, max_attempts: 12 }).await.unwrap().taken;
    assert!(inbox.park(&taken[0].held, error).await.unwrap());
}

/// An inbox with parked events, a processed one and one that waits. The ids and errors are such that a terminal or a
/// script must not act on them.
async fn filled<D: InboxDatabase>(log: &SqlLog<D>) -> InboxStore<D> {
    let inbox = InboxStore::new(log, SENDER);
    inbox.create_tables().await.unwrap();
    for number in 0..4 {
        park(&inbox, &format!("bank_{number}"), "503 from the bank").await;
    }
    park(&inbox, ODD, ODD).await;
    receive(&inbox, "processed").await;
    let taken = inbox.take(TakeLimits { events: 1, lease: LEASE, max_attempts: 12 }).await.unwrap().taken;
    assert!(inbox.complete(&taken[0].held).await.unwrap());
    receive(&inbox, "waiting").await;
    inbox
}

fn every_subcommand(operator: &Operator) {
    let check = operator.run("check --inbox");
    assert_eq!((check.code, check.stdout.as_str()), (0, ""), "{}", check.stderr);
    assert!(operator.run("schema --inbox").stdout.contains("webhook_inbox_seen"));

    let stats = &operator.json("stats --inbox --json")[0];
    assert_eq!((&stats["parked"]["events"], &stats["waiting"]["events"]), (&5.into(), &1.into()));
    assert_eq!((&stats["processed"]["events"], &stats["unfinished"]), (&1.into(), &6.into()));
    assert!(operator.run("stats --inbox").stdout.contains("lease-ended"));

    let parked = operator.json("parked --json");
    assert_eq!(parked.len(), 5);
    assert_eq!((&parked[0]["key"], &parked[0]["attempts"]), (&"github:bank_0".into(), &1.into()));
    assert_eq!((&parked[4]["id"], &parked[4]["last_error"]), (&ODD.into(), &ODD.into()));
    let odd = format!("{SENDER}:{ODD}");
    let shown = [
        operator.run("parked"),
        operator.run("parked --json"),
        operator.run("list --inbox"),
        operator.run_words(&["show", "--inbox", &odd]),
        operator.run("top --inbox --looks 1"),
    ];
    for shown in shown {
        assert_eq!(shown.code, 0, "{}", shown.stderr);
        let acts = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!shown.stdout.contains(acts), "{}", shown.stdout);
    }
    let bank = operator.run_words(&["parked", "--json", "--error", "503 from the bank", "--limit", "3"]);
    assert_eq!(bank.stdout.lines().count(), 3);
    let cursor = bank.stderr.split("--after ").nth(1).expect("it says where the list goes on").trim();
    assert_eq!(operator.json(&format!("parked --json --error 503 --after {cursor}")).len(), 1);
    for (filter, count) in [
        ("list --inbox --all", 6),
        ("list --inbox --state processed", 1),
        ("list --inbox --state waiting --sender github --type push --max-age 1h", 1),
        ("list --inbox --min-attempts 1", 5),
        ("list --inbox --min-age 1h", 0),
        ("parked --sender stripe", 0),
    ] {
        assert_eq!(operator.json(&format!("{filter} --json")).len(), count, "{filter}");
    }
    let story = operator.run("show github:bank_1 --inbox").stdout;
    for part in ["repo:1", "parked", "503 from the bank", "stored bytes", "replayed or discarded"] {
        assert!(story.contains(part), "{part}: {story}");
    }

    let without_sender = operator.run("show --inbox bank_1");
    assert!(without_sender.code == 3 && without_sender.stderr.contains("SENDER:ID"));

    // Nobody can be asked.
    for change in ["replay github:bank_0", "discard github:bank_0", "replay --all", "discard --all"] {
        let refused = operator.run(change);
        assert_eq!(refused.code, 6, "{change}");
        assert!(refused.stderr.contains("--yes"), "{}", refused.stderr);
    }
    for (change, code) in [
        ("show --inbox github:nothing", 3),
        ("replay github:nothing --yes", 3),
        ("replay github:waiting --yes", 5),
        ("discard github:processed --yes", 5),
        ("replay github:bank_0 --token 7 --yes", 4),
    ] {
        assert_eq!(operator.run(change).code, code, "{change}");
    }
    let replayed = operator.run("replay github:bank_0 github:bank_1 --token 1 --yes --json");
    assert_eq!((replayed.code, replayed.stdout.lines().count()), (0, 2), "{}", replayed.stderr);
    assert!(replayed.stdout.contains(r#""key":"github:bank_0""#), "{}", replayed.stdout);
    assert_eq!(operator.run("replay github:bank_0 --yes").code, 5);
    assert_eq!(operator.run_words(&["discard", &odd, "--yes"]).code, 0);
    let none = operator.run_words(&["replay", "--all", "--error", "no such error", "--yes", "--json"]);
    assert_eq!(none.stdout.trim(), r#"{"replayed":0,"too_late":0}"#);
    let all = operator.run_words(&["replay", "--all", "--error", "503 from the bank", "--yes", "--json"]);
    assert_eq!((all.code, all.stdout.trim()), (0, r#"{"replayed":2,"too_late":0}"#));
    assert_eq!(operator.json("discard --all --yes --json")[0]["discarded"], 0);
    let stats = &operator.json("stats --inbox --json")[0];
    assert_eq!((&stats["parked"]["events"], &stats["waiting"]["events"]), (&0.into(), &5.into()));

    assert_eq!(operator.json("purge --inbox --yes --json")[0]["deleted"], 0);
    let top = operator.run("top --inbox --looks 2 --every 0s --json");
    assert_eq!((top.code, top.stdout.lines().count()), (0, 2), "{}", top.stderr);
}

/// The replayed events run in the order of their arrival.
async fn runs_in_order<D: InboxDatabase>(inbox: &InboxStore<D>) {
    for id in ["bank_0", "bank_1", "bank_2", "bank_3", "waiting"] {
        let taken = inbox.take(TakeLimits { events: 9, lease: LEASE, max_attempts: 12 }).await.unwrap().taken;
        let ids: Vec<&str> = taken.iter().map(|taken| &*taken.held.event_id).collect();
        assert_eq!(ids, [id]);
        assert!(inbox.complete(&taken[0].held).await.unwrap());
        inbox.free_heads().await.unwrap();
    }
}

#[tokio::test]
async fn every_subcommand_works_on_an_inbox_in_sqlite() {
    let folder = Folder::new();
    let path = folder.path().join("events.db");
    let inbox = filled(&SqliteLog::open(&path).await.unwrap()).await;
    every_subcommand(&Operator { url: format!("sqlite:{}", path.display()) });
    runs_in_order(&inbox).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn every_subcommand_works_on_an_inbox_in_postgres() {
    let url = Postgres::shared().await.fresh_database().await;
    let inbox = filled(&PostgresLog::new(PgPool::connect(&url).await.unwrap())).await;
    let operator = Operator { url };
    every_subcommand(&operator);
    runs_in_order(&inbox).await;
    let schema = operator.run("schema --inbox --table github_inbox --schema billing").stdout;
    assert!(schema.contains("\"billing\".\"github_inbox_seen\""), "{schema}");
    assert_eq!(operator.run("stats --inbox --table github_inbox").code, 1);
    assert_eq!(operator.run("parked --table se;en").code, 2);
}

#[tokio::test]
#[ignore = "needs MariaDB: run tests/run"]
async fn every_subcommand_works_on_an_inbox_in_mariadb() {
    let url = MariaDb::shared().await.fresh_database().await;
    let inbox = filled(&MySqlLog::new(MySqlPool::connect(&url).await.unwrap())).await;
    every_subcommand(&Operator { url });
    runs_in_order(&inbox).await;
}

#[test]
fn mistakes_in_the_arguments_of_an_inbox_are_2() {
    let operator = Operator { url: "sqlite::memory:".to_owned() };
    for mistake in [
        "replay",
        "discard",
        "replay --all github:evt_1",
        "replay github:evt_1 --error x",
        "replay --all --token 1",
        "replay --all --state parked",
        "list --inbox --state claimed",
        "list --state parked",
        "list --inbox --min-token 1",
        "list --sender github",
        "list --error x",
        "parked --after zzz!",
        "parked --limit 0",
        "parked --cluster",
        "release --inbox evt_1",
        "upgrade --inbox",
        "show --inbox",
        "parked --table a-b",
    ] {
        let ran = operator.run(mistake);
        assert_eq!(ran.code, 2, "{mistake}: {}", ran.stderr);
    }
    assert_eq!(operator.run_words(&["show", "--inbox", ""]).code, 2);
}

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn redis_holds_no_inbox() {
    let operator = Operator { url: ferro_idem_tests::servers::Redis::shared().await.url() };
    for inbox in ["parked", "stats --inbox", "replay --all --yes", "schema --inbox"] {
        assert_eq!(operator.run(inbox).code, 5, "{inbox}");
    }
}
