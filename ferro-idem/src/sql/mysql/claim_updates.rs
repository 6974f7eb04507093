//! Changes of claims that are held.

use sqlx::AssertSqlSafe;
use sqlx::mysql::MySqlConnection;

use super::owned::owners_of;
use super::{CLAIMED, PROCESSED, RELEASED, bytes, deadline, micros};
use crate::event_table::mysql::statements::Statements;
use crate::sql::event_state::{ClaimStep, HeldClaim};

pub(super) async fn update(
    connection: &mut MySqlConnection,
    statements: &Statements,
    step: ClaimStep,
    held: &[&HeldClaim],
) -> Result<Vec<bool>, sqlx::Error> {
    let deadline = deadline::of(connection, &statements.clock).await?;
    let (text, rows) = statements.update_claims(step).with(held);
    let mut update = sqlx::query(AssertSqlSafe(text));
    for one in rows {
        update = match step {
            ClaimStep::CompleteWithReply => update
                .bind(one.map(|one| micros(one.reply.keep_millis)))
                .bind(one.map(|one| &*one.reply.bytes)),
            ClaimStep::Renew => update.bind(one.map(|one| micros(one.lease_millis))),
            ClaimStep::Complete | ClaimStep::Release | ClaimStep::Withdraw => update,
        };
        update = update
            .bind(one.map(|one| one.id.as_bytes()))
            .bind(one.map(|one| bytes(one.owner)))
            .bind(one.map(|one| one.token));
    }
    // sqlx connects with CLIENT_FOUND_ROWS: rows that were found, changed or not.
    let updated = update.bind(deadline).execute(&mut *connection).await;
    let found = deadline::checked(updated, &statements.clock)?.rows_affected();
    if held.len() == 1 && !statements.verifies {
        return Ok(vec![found == 1]);
    }
    let settled = match step {
        ClaimStep::Renew => CLAIMED,
        ClaimStep::Complete | ClaimStep::CompleteWithReply => PROCESSED,
        ClaimStep::Release | ClaimStep::Withdraw => RELEASED,
    };
    let owners = owners_of(connection, statements, held.iter().map(|one| &*one.id)).await?;
    let is_settled = |one: &&HeldClaim| {
        let Some(row) = owners.get(&*one.id) else { return Ok(false) };
        let is_held = row.is_of(one.owner) && row.token == one.token;
        let is_settled = row.state == settled
            && match step {
                ClaimStep::Withdraw => row.owner.is_none() && row.token == one.token - 1,
                _ => is_held,
            };
        // A claim that was not changed is lost, unless its row is still as it was.
        if statements.verifies && !is_settled && is_held && step.changes(row.state) {
            return Err(sqlx::Error::RowNotFound);
        }
        Ok(is_settled)
    };
    held.iter().map(is_settled).collect()
}
