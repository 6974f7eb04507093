//! `check`, `schema` and `upgrade`.

use std::io::Write as _;

use super::ask::confirm;
use super::exit::{Exit, Failure};
use super::store::Store;

const NO_TABLE: Failure = Failure::NotPossible("Redis has no table: keys are made as they are needed.");

pub(super) async fn check(store: &dyn Store) -> Result<Exit, Failure> {
    store.check().await?;
    for lack in store.operations().lacks().await? {
        super::say(&format!("{lack}\n"));
    }
    super::say("No problem was found.\n");
    Ok(Exit::Done)
}

pub(super) fn schema(schema: Option<String>) -> Result<Exit, Failure> {
    writeln!(std::io::stdout(), "{}", schema.ok_or(NO_TABLE)?)?;
    Ok(Exit::Done)
}

pub(super) async fn upgrade(store: &dyn Store, run: bool, yes: bool) -> Result<Exit, Failure> {
    let missing = store.missing_columns().await?.ok_or(NO_TABLE)?;
    if missing.is_empty() {
        super::say("The table has all columns.\n");
        return Ok(Exit::Done);
    }
    writeln!(std::io::stdout(), "{missing}")?;
    if run {
        confirm("Run these statements? Each one locks the table for a moment.", yes)?;
        for statement in missing.lines() {
            store.add_column(statement).await?;
        }
        super::say("The table has all columns.\n");
    }
    Ok(Exit::Done)
}
