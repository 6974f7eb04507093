//! Whose a row is: proof that a mark or claim is this call's.

use std::collections::HashMap;

use sqlx::AssertSqlSafe;
use sqlx::postgres::PgConnection;
use sqlx::types::Uuid;

use super::{PLANNED_ONCE, uuid};
use crate::event_table::postgres::statements::Statements;
use crate::sql::event_state::{ClaimStep, Claimed, HeldClaim, Mark, NewClaim};
use crate::sql::fault::{NotRead, RowChanged};

/// Looks the rows up that a mark's statement spoke of, if the table may keep them out or change them. An event
/// without a row is neither new nor a duplicate.
pub(super) async fn verified(
    connection: &mut PgConnection,
    statements: &Statements,
    marks: &[&Mark],
    marked: Vec<bool>,
) -> Result<Vec<bool>, sqlx::Error> {
    if !statements.verifies {
        return Ok(marked);
    }
    let owners = owners_of(connection, statements, marks.iter().map(|mark| &*mark.id)).await?;
    let verified = |(mark, is_marked): (&&Mark, bool)| {
        let owner = owners.get(&*mark.id).ok_or(sqlx::Error::RowNotFound)?;
        // The rows of a plain table do not tell who made them.
        let is_own = owner.map_or(is_marked, |owner| owner == uuid(mark.owner));
        if is_marked && !is_own { Err(RowChanged.into()) } else { Ok(is_own) }
    };
    marks.iter().zip(marked).map(verified).collect()
}

/// The same for claims: an event that could not be claimed has to have a row.
pub(super) async fn found(
    connection: &mut PgConnection,
    statements: &Statements,
    claims: &[&NewClaim],
    outcomes: Vec<Claimed>,
) -> Result<Vec<Claimed>, sqlx::Error> {
    if statements.verifies {
        let owners = owners_of(connection, statements, claims.iter().map(|claim| &*claim.mark.id)).await?;
        let is_kept = |(claim, outcome): (&&NewClaim, &Claimed)| match owners.get(&*claim.mark.id) {
            None => false,
            Some(&owner) if matches!(outcome, Claimed::Acquired { .. }) => {
                owner == Some(uuid(claim.mark.owner))
            }
            Some(_) => true,
        };
        if !claims.iter().zip(&outcomes).all(is_kept) {
            return Err(sqlx::Error::RowNotFound);
        }
    }
    Ok(outcomes)
}

/// The same for changes of claims: a claim that was not changed is lost, unless its row is still as it was.
pub(super) async fn changed(
    connection: &mut PgConnection,
    statements: &Statements,
    step: ClaimStep,
    held: &[&HeldClaim],
    changed: Vec<bool>,
) -> Result<Vec<bool>, sqlx::Error> {
    if statements.verifies {
        for (one, _) in held.iter().zip(&changed).filter(|(_, is_changed)| !**is_changed) {
            let state =
                statements.scalar(&statements.held).bind(&*one.id).bind(uuid(one.owner)).bind(one.token);
            let state: Option<i64> = state.fetch_optional(&mut *connection).await.map_err(NotRead::of)?;
            if state.is_some_and(|state| step.changes(state)) {
                return Err(sqlx::Error::RowNotFound);
            }
        }
    }
    Ok(changed)
}

async fn owners_of(
    connection: &mut PgConnection,
    statements: &Statements,
    ids: impl Iterator<Item = &str>,
) -> Result<HashMap<String, Option<Uuid>>, sqlx::Error> {
    let rows: Vec<(String, Option<Uuid>)> = sqlx::query_as(AssertSqlSafe(statements.owners.clone()))
        .persistent(PLANNED_ONCE)
        .bind(ids.collect::<Vec<_>>())
        .fetch_all(connection)
        .await
        .map_err(NotRead::of)?;
    Ok(rows.into_iter().collect())
}
