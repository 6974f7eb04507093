//! Temporaries and locks of the attribute's expressions are dropped before the log is called, under every
//! guarantee.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use ferro_idem::{Error, MemoryProcessedLog, Outcome, ProcessedEventLog, SqliteLog, idempotent_webhook};

use super::sqlite::sqlite;

#[derive(Clone)]
struct Session {
    id: String,
}

#[derive(Clone)]
struct App {
    memory: MemoryProcessedLog,
    session: Arc<tokio::sync::RwLock<Session>>,
    lock: Arc<std::sync::Mutex<Session>>,
}

fn app(id: &str) -> App {
    let session = Session { id: id.to_owned() };
    App {
        memory: MemoryProcessedLog::new(),
        session: Arc::new(tokio::sync::RwLock::new(session.clone())),
        lock: Arc::new(std::sync::Mutex::new(session)),
    }
}

type Handled = Result<Outcome<String>, Error>;

/// The body locks again, and moves what the expression borrowed.
async fn renamed(app: App, name: &str) -> String {
    let mut session = app.session.write().await;
    name.clone_into(&mut session.id);
    session.id.clone()
}

#[idempotent_webhook(log = app.memory, event_id = app.session.write().await.id)]
async fn fenced(app: App) -> Handled {
    Ok(Outcome::Processed(renamed(app, "fenced").await))
}

#[idempotent_webhook(log = app.memory, event = &app.session.write().await.id, scope = "claimed", claim)]
async fn claimed(app: App) -> Handled {
    Ok(Outcome::Processed(renamed(app, "claimed").await))
}

#[idempotent_webhook(log = log, event_id = app.session.write().await.id, transaction(tx))]
async fn transacted(log: SqliteLog, app: App) -> Handled {
    let _ = tx;
    Ok(Outcome::Processed(renamed(app, "transacted").await))
}

#[idempotent_webhook(
    log = app.memory,
    event_id = app.session.write().await.id,
    scope = "all",
    only_if = !app.session.write().await.id.is_empty(),
    claim(lease = Duration::from_secs(app.session.write().await.id.len() as u64)),
)]
async fn every_expression_locks(app: App) -> Handled {
    Ok(Outcome::Processed(renamed(app, "all").await))
}

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_mins(1), future).await.expect("nothing is locked")
}

#[tokio::test]
async fn the_body_may_lock_what_the_id_was_read_from() {
    let (sqlite, _folder) = sqlite().await;
    let run = |name: &str| Outcome::Processed(name.to_owned());
    let app = app("evt_1");
    assert_eq!(in_time(fenced(app.clone())).await.unwrap(), run("fenced"));
    assert_eq!(in_time(claimed(app.clone())).await.unwrap(), run("claimed"));
    assert_eq!(in_time(transacted(sqlite, app.clone())).await.unwrap(), run("transacted"));
    assert_eq!(in_time(every_expression_locks(app.clone())).await.unwrap(), run("all"));
    assert!(!app.memory.try_mark_processed("claimed:fenced").await.unwrap(), "the id of before the body");
}

/// A guard of `std` is not `Send`, and must not be held across an await.
#[idempotent_webhook(log = app.memory, event_id = app.lock.lock().unwrap().id)]
async fn fenced_by_a_std_guard(app: App) -> Handled {
    Ok(Outcome::Duplicate)
}

#[idempotent_webhook(log = app.memory, event = app.lock.lock().unwrap().id, scope = "std", claim)]
async fn claimed_by_a_std_guard(app: App) -> Handled {
    Ok(Outcome::Duplicate)
}

#[idempotent_webhook(log = log, event_id = app.lock.lock().unwrap().id.as_str(), transaction(tx))]
async fn transacted_by_a_std_guard(log: &SqliteLog, app: App) -> Handled {
    let _ = tx;
    Ok(Outcome::Duplicate)
}

/// The lock is only taken to find the log. The log itself is not inside it.
fn log_of(tenants: &std::sync::Mutex<Session>, app: &App) -> MemoryProcessedLog {
    assert!(!tenants.lock().unwrap().id.is_empty());
    app.memory.clone()
}

#[idempotent_webhook(log = log_of(&app.lock.lock().map(|_| app.lock.clone()).unwrap(), &app), event = id)]
async fn log_found_under_a_std_guard(app: App, id: &str) -> Handled {
    Ok(Outcome::Duplicate)
}

#[idempotent_webhook(
    log = log,
    event = id,
    only_if = !app.lock.lock().unwrap().id.is_empty(),
    on_ignored = Ok(Outcome::Processed(app.lock.lock().unwrap().id.clone())),
)]
async fn filtered_by_a_std_guard(log: &MemoryProcessedLog, app: App, id: &str) -> Handled {
    Ok(Outcome::Duplicate)
}

#[tokio::test]
async fn a_guard_of_std_in_an_expression_leaves_the_future_send() {
    fn is_send(future: impl Future + Send) {
        drop(future);
    }
    let (sqlite, _folder) = sqlite().await;
    let app = app("evt_1");
    is_send(fenced_by_a_std_guard(app.clone()));
    is_send(claimed_by_a_std_guard(app.clone()));
    is_send(transacted_by_a_std_guard(&sqlite, app.clone()));
    is_send(log_found_under_a_std_guard(app.clone(), "evt_1"));
    is_send(filtered_by_a_std_guard(&app.memory, app.clone(), "evt_1"));
}
