//! `check`, `schema` and `upgrade`.

use std::io::Write as _;

use super::ask::confirm;
use super::exit::{Exit, Failure};
use super::store::Store;

/// Calls the same method of whichever SQL log it is.
macro_rules! of_sql {
    ($store:expr, $log:ident => $then:expr, redis => $redis:expr) => {
        match $store {
            #[cfg(feature = "postgres")]
            Store::Postgres($log) => $then,
            #[cfg(feature = "mysql")]
            Store::MySql($log) => $then,
            #[cfg(feature = "sqlite")]
            Store::Sqlite($log) => $then,
            #[cfg(feature = "redis")]
            Store::Redis(log) => {
                let _ = log;
                $redis
            }
        }
    };
}

#[cfg(feature = "redis")]
const NO_TABLE: Failure = Failure::NotPossible("Redis has no table: keys are made as they are needed.");

pub(super) async fn check(store: &Store) -> Result<Exit, Failure> {
    of_sql!(store, log => log.check().await?, redis => log_check(store).await?);
    for lack in store.operations().lacks().await? {
        super::say(&format!("{lack}\n"));
    }
    super::say("No problem was found.\n");
    Ok(Exit::Done)
}

#[cfg(feature = "redis")]
async fn log_check(store: &Store) -> Result<(), Failure> {
    if let Store::Redis(log) = store {
        log.check().await?;
    }
    Ok(())
}

pub(super) fn schema(store: &Store) -> Result<Exit, Failure> {
    let schema: String = of_sql!(store, log => log.schema(), redis => return Err(NO_TABLE));
    writeln!(std::io::stdout(), "{schema}")?;
    Ok(Exit::Done)
}

pub(super) async fn upgrade(store: &Store, run: bool, yes: bool) -> Result<Exit, Failure> {
    let missing: String = of_sql!(store, log => log.missing_columns().await?, redis => return Err(NO_TABLE));
    if missing.is_empty() {
        super::say("The table has all columns.\n");
        return Ok(Exit::Done);
    }
    writeln!(std::io::stdout(), "{missing}")?;
    if run {
        confirm("Run these statements? Each one locks the table for a moment.", yes)?;
        for statement in missing.lines() {
            of_sql!(store, log => log.add_column(statement).await?, redis => return Err(NO_TABLE));
        }
        super::say("The table has all columns.\n");
    }
    Ok(Exit::Done)
}
