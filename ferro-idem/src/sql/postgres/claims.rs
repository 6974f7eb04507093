//! The statements that claim events, with or without the replies of those that are processed.

use sqlx::Row;
use sqlx::postgres::{PgConnection, PgRow};

use super::events::Events;
use super::{deadline, uuid};
use crate::event_table::postgres::statements::Statements;
use crate::retry::Attempt;
use crate::sql::event_state::{Claimed, FoundReply, NewClaim, in_order, token_of};

pub(super) async fn claim(
    connection: &mut PgConnection,
    statements: &Statements,
    claims: &[&NewClaim],
    attempt: Attempt,
) -> Result<Vec<Claimed>, sqlx::Error> {
    let deadline = deadline::of(connection, &statements.clock).await?;
    let reads_replies = claims.iter().any(|claim| claim.reads_reply);
    let [of_one, of_many] = statements.claims(reads_replies);
    if let ([claim], Attempt::First) = (claims, attempt) {
        let row = statements
            .query(of_one)
            .bind(deadline)
            .bind(&*claim.mark.id)
            .bind(&*claim.mark.event_type)
            .bind(uuid(claim.mark.owner))
            .bind(claim.lease_millis)
            .fetch_optional(connection)
            .await;
        let row = deadline::checked(row, &statements.clock)?;
        return Ok(vec![row.map_or(Ok(Claimed::Unknown), |row| claimed(&row, reads_replies))?]);
    }
    let events = Events::of(claims.iter().map(|claim| &claim.mark));
    let leases: Vec<i64> = claims.iter().map(|claim| claim.lease_millis).collect();
    let rows = statements
        .query(of_many)
        .bind(deadline)
        .bind(&events.ids)
        .bind(&events.types)
        .bind(&events.owners)
        .bind(leases)
        .fetch_all(connection)
        .await;
    let rows = deadline::checked(rows, &statements.clock)?;
    let found = |row: &PgRow| Ok((row.try_get("id")?, claimed(row, reads_replies)?));
    let found: Result<Vec<(String, Claimed)>, sqlx::Error> = rows.iter().map(found).collect();
    let claimed = in_order(&events.ids, found?);
    Ok(claimed.into_iter().map(|claimed| claimed.unwrap_or(Claimed::Unknown)).collect())
}

fn claimed(row: &PgRow, reads_reply: bool) -> Result<Claimed, sqlx::Error> {
    let token: i64 = row.try_get("fencing_token")?;
    if token != 0 {
        return Ok(Claimed::Acquired { token: token_of(token) });
    }
    if !reads_reply {
        return Ok(Claimed::Processed(FoundReply::Unread));
    }
    let reply: Option<Vec<u8>> = row.try_get("reply")?;
    Ok(Claimed::Processed(FoundReply::Read(reply.map(Into::into))))
}
