//! Handlers under a transaction.

use ferro_idem::testing::{HandlerTest, Problem, check};
use ferro_idem::{Error, SqliteLog, idempotent_webhook};
use tempfile::NamedTempFile;

use super::findings;

const INSERT: &str = "INSERT INTO payments (event_id) VALUES ('evt_1')";

struct World {
    log: SqliteLog,
    _file: NamedTempFile,
}

impl World {
    async fn new() -> Self {
        let file = NamedTempFile::new().unwrap();
        let log = SqliteLog::open(file.path()).await.unwrap();
        sqlx::query("CREATE TABLE payments (event_id TEXT NOT NULL)").execute(log.pool()).await.unwrap();
        Self { log, _file: file }
    }

    async fn payments(&self) -> usize {
        let count = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM payments");
        usize::try_from(count.fetch_one(self.log.pool()).await.unwrap()).unwrap()
    }
}

#[idempotent_webhook(log = world.log, transaction(tx))]
async fn pays(world: &World, event: &str) -> Result<(), Error> {
    sqlx::query(INSERT).execute(&mut *tx).await.map_err(|error| Error::store("pay", error))?;
    Ok(())
}

/// The row is written through another connection, before `tx` has a lock.
#[idempotent_webhook(log = world.log, transaction(tx))]
async fn pays_elsewhere(world: &World, event: &str, elsewhere: &sqlx::SqlitePool) -> Result<(), Error> {
    let _ = tx;
    sqlx::query(INSERT).execute(elsewhere).await.map_err(|error| Error::store("pay", error))?;
    Ok(())
}

struct Right(World);

impl HandlerTest for Right {
    async fn new() -> Self {
        Self(World::new().await)
    }

    async fn deliver(&self) -> bool {
        pays(&self.0, "evt_1").await.is_ok()
    }

    async fn effects(&self) -> usize {
        self.0.payments().await
    }
}

#[test]
fn a_right_handler_passes_every_case() {
    let report = check::<Right>();
    report.assert_passed();
    assert!(report.cases() > 10, "{}", report.cases());
}

/// The effect is in a second database, as it would be in a table that is written through the pool of a server.
struct Elsewhere(World, World);

impl HandlerTest for Elsewhere {
    async fn new() -> Self {
        Self(World::new().await, World::new().await)
    }

    async fn deliver(&self) -> bool {
        pays_elsewhere(&self.0, "evt_1", self.1.log.pool()).await.is_ok()
    }

    async fn effects(&self) -> usize {
        self.1.payments().await
    }
}

#[test]
fn an_effect_outside_of_the_transaction_is_found() {
    let findings = findings::<Elsewhere>();
    let doubled =
        |(case, problem): &(String, Problem)| case.starts_with("failed") && *problem == Problem::Doubled(2);
    assert!(findings.iter().any(doubled), "{findings:?}");
}
