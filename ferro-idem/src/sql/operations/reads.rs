//! The requests that only read.

use super::rows::{StoredEvent, Value, time_of};
use super::statements::Statements;
use crate::operations::{Counts, EventState, Filter, LoggedEvent};
use crate::retry::Attempt;
use crate::sql::dialect::{Dialect, QueryFuture};
use crate::sql::request::Request;

/// How many rows one statement reads at most. It takes some ten milliseconds.
pub(super) const PART: i64 = 10_000;

/// One event.
pub(super) struct LookAtOne {
    pub(super) id: String,
}

impl<D: Dialect> Request<D, Statements> for LookAtOne {
    const NEEDS_NO_OWNER: bool = true;
    const ONLY_READS: bool = true;
    type Answer = Option<LoggedEvent>;

    fn operation(&self) -> &'static str {
        "look at the event"
    }

    fn send(
        &self,
        connection: &mut D::Connection,
        statements: &Statements,
        _: Attempt,
    ) -> impl QueryFuture<Self::Answer> {
        async move {
            let rows = events::<D>(connection, statements.look(&self.id)).await?;
            Ok(rows.into_iter().next().map(StoredEvent::into_event))
        }
    }
}

/// The events of a part of the table that match, and the part's last key. `None`: there is nothing after it.
pub(super) struct ListPart {
    filter: Filter,
    after: Vec<u8>,
    limit: usize,
}

impl ListPart {
    pub(super) fn new(filter: Filter, after: Vec<u8>, limit: usize) -> Self {
        Self { filter, after, limit }
    }
}

impl<D: Dialect> Request<D, Statements> for ListPart {
    const NEEDS_NO_OWNER: bool = true;
    const ONLY_READS: bool = true;
    type Answer = (Vec<LoggedEvent>, Option<Vec<u8>>);

    fn operation(&self) -> &'static str {
        "list events"
    }

    fn send(
        &self,
        connection: &mut D::Connection,
        statements: &Statements,
        _: Attempt,
    ) -> impl QueryFuture<Self::Answer> {
        async move {
            // Without a filter, a part is what the page holds, and one row more.
            let part = if self.filter.is_all() { i64::try_from(self.limit).unwrap_or(PART) } else { PART };
            let list = statements.list(&self.filter, &self.after, part, self.limit);
            let rows = events::<D>(&mut *connection, list).await?;
            let end = if rows.len() == self.limit {
                rows.last().map(|last| last.id.clone())
            } else {
                part_end::<D>(connection, statements, &self.after, part).await?
            };
            Ok((rows.into_iter().map(StoredEvent::into_event).collect(), end))
        }
    }
}

/// The counts of a part of the table, and its last key.
pub(super) struct CountPart {
    pub(super) after: Vec<u8>,
}

impl<D: Dialect> Request<D, Statements> for CountPart {
    const NEEDS_NO_OWNER: bool = true;
    const ONLY_READS: bool = true;
    type Answer = (Counts, Option<Vec<u8>>);

    fn operation(&self) -> &'static str {
        "count events"
    }

    fn send(
        &self,
        connection: &mut D::Connection,
        statements: &Statements,
        _: Attempt,
    ) -> impl QueryFuture<Self::Answer> {
        async move {
            let mut counts = Counts::default();
            let end = part_end::<D>(connection, statements, &self.after, PART).await?;
            if end.is_some() {
                for state in EventState::ALL {
                    let (statement, values) = statements.count(state, &self.after, PART);
                    for counted in D::cells(&mut *connection, statement, values, 1).await? {
                        counts.count(state, counted.count(0), counted.number(1).and_then(time_of));
                    }
                }
            }
            Ok((counts, end))
        }
    }
}

async fn part_end<D: Dialect>(
    connection: &mut D::Connection,
    statements: &Statements,
    after: &[u8],
    part: i64,
) -> Result<Option<Vec<u8>>, sqlx::Error> {
    let (statement, values) = statements.part_end(after, part);
    let end = D::cells(connection, statement, values, 1).await?;
    Ok(end.into_iter().next().and_then(|mut end| end.take_bytes(0)))
}

/// The events of a query for them.
pub(super) async fn events<D: Dialect>(
    connection: &mut D::Connection,
    (statement, values): (String, Vec<Value>),
) -> Result<Vec<StoredEvent>, sqlx::Error> {
    let rows = D::cells(connection, statement, values, StoredEvent::BYTES).await?;
    Ok(rows.into_iter().map(StoredEvent::of).collect())
}
