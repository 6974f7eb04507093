//! The commands and statements of `docs/operations.md` run on a server as they stand.

use std::process::{Command, Stdio};
use std::time::Duration;

use ferro_idem::__inbox::{InboxStore, NewDelivery, TakeLimits, Taken};
use ferro_idem::replay::{KEEP, NewReply, ReplayLog};
use ferro_idem::{ClaimLog, ClaimOutcome, EventRef, Owner, Ownership, PostgresLog, ProcessedEventLog};
use ferro_idem_tests::servers::Postgres;
use sqlx::{AssertSqlSafe, Executor, PgPool};

const RUNBOOK: &str = include_str!("../docs/operations.md");
const LEASE: Duration = Duration::from_mins(1);

/// The runbook's statement that holds this text.
fn statement(holds: &str) -> String {
    let statements = RUNBOOK.split("```sql\n").skip(1).filter_map(|rest| rest.split("```").next());
    let mut found = statements.filter(|statement| statement.contains(holds));
    let statement = found.next().unwrap_or_else(|| panic!("no statement with {holds}"));
    assert!(found.next().is_none(), "two statements with {holds}");
    statement.to_owned()
}

async fn run(pool: &PgPool, holds: &str) -> u64 {
    pool.execute(AssertSqlSafe(statement(holds))).await.unwrap().rows_affected()
}

/// The runbook's commands, in order.
fn commands() -> Vec<&'static str> {
    let blocks = RUNBOOK.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.flat_map(str::lines).filter_map(|line| line.strip_prefix("ferro-idem ")).collect()
}

/// Runs the runbook's command that begins with this, and returns its exit code and output.
fn command(url: &str, begins_with: &str) -> (i32, String) {
    let commands = commands();
    let found = commands.iter().find(|command| command.starts_with(begins_with));
    let command = found.unwrap_or_else(|| panic!("no command {begins_with}"));
    let output = Command::new(env!("CARGO_BIN_EXE_operator"))
        .args(command.split_whitespace())
        .env("FERRO_IDEM_URL", url)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let shown = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.code().unwrap(), shown)
}

async fn claim(log: &PostgresLog) -> ClaimOutcome {
    let event = EventRef::new("evt_1").unwrap().with_type("invoice.paid");
    log.claim(event, Owner::random().unwrap(), LEASE).await.unwrap()
}

#[tokio::test]
#[ignore = "starts PostgreSQL; tests/run runs it"]
async fn the_runbook_frees_completes_and_forgets_an_event() {
    let server = Postgres::start().await;
    let url = server.fresh_database().await;
    let pool = PgPool::connect(&url).await.unwrap();
    let log = PostgresLog::new(pool.clone());
    log.create_table().await.unwrap();

    // Lost to a fence: forgotten, and the next delivery is first.
    assert!(log.try_mark_processed("evt_1").await.unwrap());
    assert!(!log.try_mark_processed("evt_1").await.unwrap());
    assert_eq!(command(&url, "forget evt").0, 0);
    assert!(log.try_mark_processed("evt_1").await.unwrap());
    assert_eq!(command(&url, "forget evt").0, 0);

    // Stuck: freed by hand, and the token grows with the next claim.
    assert_eq!(claim(&log).await, ClaimOutcome::Acquired { token: 1 });
    assert!(matches!(claim(&log).await, ClaimOutcome::InProgress { .. }));
    assert_eq!(command(&url, "release").0, 0);
    assert_eq!(claim(&log).await, ClaimOutcome::Acquired { token: 2 });
    assert_eq!(command(&url, "release").0, 0);

    // Poison: found by its token, then completed by hand.
    for token in 3..=5 {
        let owner = Owner::random().unwrap();
        let claimed = log.claim(EventRef::new("evt_1").unwrap(), owner, LEASE).await.unwrap();
        assert_eq!(claimed, ClaimOutcome::Acquired { token });
        assert!(log.release("evt_1", Ownership { owner, token }).await.unwrap());
    }
    let (code, poison) = command(&url, "list --state released --min-token");
    assert!(code == 0 && poison.contains("evt_1"), "{poison}");
    assert_eq!(command(&url, "complete").0, 0);
    assert_eq!(claim(&log).await, ClaimOutcome::Processed);

    // Personal data: the reply goes, and the event stays processed.
    assert_eq!(command(&url, "forget evt").0, 0);
    for by_hand in [true, false] {
        let owner = Owner::random().unwrap();
        let event = EventRef::new("evt_1").unwrap();
        let ClaimOutcome::Acquired { token } = log.claim(event, owner, LEASE).await.unwrap() else {
            panic!()
        };
        let reply = NewReply { stored: b"canary@example.com", keep: KEEP };
        assert!(log.complete_with_reply("evt_1", Ownership { owner, token }, reply).await.unwrap());
        let (code, shown) = command(&url, "show evt_1");
        assert!(code == 0 && shown.contains("reply kept until") && !shown.contains("canary"), "{shown}");
        if by_hand {
            assert_eq!(run(&pool, "reply = NULL").await, 1);
        } else {
            assert_eq!(command(&url, "forget-reply").0, 0);
        }
        assert_eq!(log.kept_reply("evt_1").await.unwrap(), None);
        assert_eq!(claim(&log).await, ClaimOutcome::Processed);
        assert_eq!(command(&url, "forget evt").0, 0);
    }

    // All others at least run.
    inbox_with_parked_events(&log).await;
    for line in commands() {
        let (code, shown) = command(&url, line);
        let is_change = ["release", "complete", "forget"].iter().any(|change| line.starts_with(change));
        assert!(code == 0 || is_change && [4, 5].contains(&code), "{line}: {shown}");
    }
}

/// An inbox whose events `evt_1` and `evt_2` are parked.
async fn inbox_with_parked_events(log: &PostgresLog) -> InboxStore<sqlx::Postgres> {
    let inbox = InboxStore::new(log, "github");
    inbox.create_tables().await.unwrap();
    for (id, event_type, error) in [
        ("evt_1", "push", "timeout"),
        ("evt_2", "push", "500"),
        ("evt_3", "push", "timeout"),
        ("evt_4", "ping", "500"),
    ] {
        let event = EventRef::new(id).unwrap().with_type(event_type);
        inbox.receive(NewDelivery::new(event, None, b"{}".to_vec())).await.unwrap();
        let held = take(&inbox).await;
        assert!(inbox.park(&held[0].held, error).await.unwrap());
    }
    inbox
}

async fn take(inbox: &InboxStore<sqlx::Postgres>) -> Vec<Taken> {
    inbox.take(TakeLimits { events: 9, lease: LEASE, max_attempts: 12 }).await.unwrap().taken
}

#[tokio::test]
#[ignore = "starts PostgreSQL; tests/run runs it"]
async fn the_runbook_replays_and_discards_parked_events() {
    let server = Postgres::start().await;
    let url = server.fresh_database().await;
    let log = PostgresLog::new(PgPool::connect(&url).await.unwrap());
    let inbox = inbox_with_parked_events(&log).await;
    let (code, parked) = command(&url, "parked --error");
    assert!(code == 0 && parked.contains("No event matches"), "{parked}");
    let (code, story) = command(&url, "show --inbox");
    assert!(code == 0 && story.contains("timeout"), "{story}");

    assert_eq!(command(&url, "replay github:evt_1").0, 0);
    let replayed = take(&inbox).await;
    assert_eq!(replayed.iter().map(|taken| &*taken.held.event_id).collect::<Vec<_>>(), ["evt_1"]);
    assert!(inbox.complete(&replayed[0].held).await.unwrap());
    assert_eq!(command(&url, "replay --all").0, 0);
    let replayed = take(&inbox).await;
    assert_eq!(replayed.iter().map(|taken| &*taken.held.event_id).collect::<Vec<_>>(), ["evt_3"]);
    assert!(inbox.complete(&replayed[0].held).await.unwrap());

    assert_eq!(command(&url, "discard github:evt_2").0, 0);
    assert_eq!(command(&url, "discard --all").0, 0);
    let (_, parked) = command(&url, "parked");
    assert!(parked.contains("No event matches"), "{parked}");
    assert!(take(&inbox).await.is_empty());
}

#[tokio::test]
#[ignore = "starts PostgreSQL; tests/run runs it"]
async fn the_statements_of_the_runbook_do_what_the_commands_do() {
    let server = Postgres::start().await;
    let pool = PgPool::connect(&server.fresh_database().await).await.unwrap();
    let log = PostgresLog::new(pool.clone());
    log.create_table().await.unwrap();
    let looks = RUNBOOK.matches("\nSELECT ").count();
    assert_eq!(looks, 3, "a look was added or removed: run it below");

    assert!(log.try_mark_processed("evt_1").await.unwrap());
    assert_eq!(run(&pool, "DELETE FROM").await, 1);
    assert_eq!(claim(&log).await, ClaimOutcome::Acquired { token: 1 });
    for look in ["GROUP BY state", "lease_left", "pg_stat_activity"] {
        run(&pool, look).await;
    }
    assert_eq!(run(&pool, "SET state = 2").await, 1);
    assert_eq!(claim(&log).await, ClaimOutcome::Acquired { token: 2 });
    assert_eq!(run(&pool, "SET state = 2").await, 1);
    assert_eq!(run(&pool, "SET state = 1").await, 1);
    assert_eq!(claim(&log).await, ClaimOutcome::Processed);
    assert_eq!(run(&pool, "DELETE FROM").await, 0, "the fencing token would fall");
}
