//! The requests that only read.

use super::rows::{OperationsDialect, StoredEvent, time_of};
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
            let (statement, values) = statements.look(&self.id);
            let rows = <D as OperationsDialect>::events(connection, statement, values).await?;
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
            let (statement, values) = statements.list(&self.filter, &self.after, part, self.limit);
            let rows = <D as OperationsDialect>::events(connection, statement, values).await?;
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
                    let sums = <D as OperationsDialect>::sums(&mut *connection, statement, values).await?;
                    for (_, number, oldest) in sums {
                        let number = number.and_then(|number| u64::try_from(number).ok()).unwrap_or(0);
                        counts.count(state, number, oldest.and_then(time_of));
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
    let end = <D as OperationsDialect>::sums(connection, statement, values).await?;
    Ok(end.into_iter().next().and_then(|(key, ..)| key))
}
