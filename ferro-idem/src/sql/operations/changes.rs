//! The requests that change one event by hand.

use super::reads::events;
use super::rows::{OperationsDialect, StoredEvent, Value, millis_of};
use super::statements::Statements;
use crate::operations::{Change, LoggedEvent, RowChange};
use crate::owner::Owner;
use crate::retry::Attempt;
use crate::sql::columns::SchemaLevel;
use crate::sql::dialect::{Dialect, QueryFuture};
use crate::sql::request::Request;

/// What the row's state is afterwards.
fn state_after(change: RowChange) -> i64 {
    match change {
        RowChange::Complete => 1,
        RowChange::Release | RowChange::Delete => 2,
    }
}

/// The condition that the row of this key is as it was seen. The key comes first among its values.
fn as_seen(seen: &LoggedEvent, statements: &Statements, values: &mut Vec<Value>) -> String {
    values.push(Value::Key(seen.id().as_bytes().to_vec()));
    match (statements.level, seen.owner()) {
        (SchemaLevel::Full, owner) => {
            values.push(Value::Number(seen.state().stored().into()));
            values.push(Value::Number(i64::try_from(seen.fencing_token()).unwrap_or(i64::MAX)));
            match owner {
                Some(owner) => {
                    values.push(Value::Bytes(owner.as_bytes().to_vec()));
                    let bound_owner = statements.expressions().bound_owner;
                    format!("state = ? AND fencing_token = ? AND owner = {bound_owner}")
                }
                None => "state = ? AND fencing_token = ? AND owner IS NULL".to_owned(),
            }
        }
        // A plain table tells two marks of an event apart by their times alone.
        (SchemaLevel::Plain, _) => match seen.received_at() {
            Some(received_at) => {
                values.push(Value::Number(millis_of(received_at)));
                format!("({}) = ?", statements.received())
            }
            None => "1 = 1".to_owned(),
        },
    }
}

/// Deletes the reply of an event if it is as it was seen.
pub(super) struct ForgetReply(pub(super) LoggedEvent);

impl<D: Dialect> Request<D, Statements> for ForgetReply {
    const NEEDS_NO_OWNER: bool = true;
    type Answer = Change;

    fn operation(&self) -> &'static str {
        "forget the reply"
    }

    fn send(
        &self,
        connection: &mut D::Connection,
        statements: &Statements,
        _: Attempt,
    ) -> impl QueryFuture<Change> {
        async move {
            let mut values = Vec::new();
            let version = as_seen(&self.0, statements, &mut values);
            let forget = statements.forget_reply(&version);
            let changed = <D as OperationsDialect>::change(&mut *connection, forget, values).await?;
            let now = events::<D>(connection, statements.look(self.0.id())).await?.into_iter().next();
            let now = now.map(StoredEvent::into_event);
            // Something in the table may undo the change.
            let is_gone = now.as_ref().is_none_or(|now| now.reply_until().is_none());
            Ok(if changed > 0 && is_gone { Change::Done } else { Change::TooLate(now) })
        }
    }
}

/// Changes an event if it is as it was seen.
///
/// An updated row gets a random owner, so that a repeated request recognises what an earlier attempt did, and so that
/// the claim's own owner has lost it.
pub(super) struct ChangeEvent {
    seen: LoggedEvent,
    kind: RowChange,
    owner: Owner,
}

impl ChangeEvent {
    pub(super) fn new(seen: &LoggedEvent, kind: RowChange, owner: Owner) -> Self {
        Self { seen: seen.clone(), kind, owner }
    }

    fn statement(&self, statements: &Statements) -> (String, Vec<Value>) {
        let mut values = Vec::new();
        if self.kind != RowChange::Delete {
            values.push(Value::Number(state_after(self.kind)));
            values.push(Value::Bytes(self.owner.as_bytes().to_vec()));
        }
        let version = as_seen(&self.seen, statements, &mut values);
        (statements.conditional(self.kind == RowChange::Delete, &version), values)
    }

    /// What the change came to, from the number of rows that it changed and the row afterwards.
    fn outcome(
        &self,
        level: SchemaLevel,
        changed: u64,
        now: Option<StoredEvent>,
        attempt: Attempt,
    ) -> Result<Change, sqlx::Error> {
        let is_own =
            now.as_ref().is_some_and(|row| row.is_of(self.owner) && row.state() == state_after(self.kind));
        match (self.kind, &now) {
            (RowChange::Release | RowChange::Complete, Some(_)) if is_own => Ok(Change::Done),
            // Another delivery may have taken the event over since.
            (RowChange::Release | RowChange::Complete, Some(row))
                if changed > 0 && row.owner() != self.seen.owner() =>
            {
                Ok(Change::Done)
            }
            // An earlier attempt may have deleted it.
            (RowChange::Delete, None) if changed > 0 || attempt == Attempt::Retry => Ok(Change::Done),
            (RowChange::Delete, Some(row)) if changed > 0 && row.owner() != self.seen.owner() => {
                Ok(Change::Done)
            }
            // Something in the table undoes the change.
            (_, Some(_)) if changed > 0 && level == SchemaLevel::Full => Err(sqlx::Error::RowNotFound),
            _ if changed > 0 => Ok(Change::Done),
            _ => Ok(Change::TooLate(now.map(StoredEvent::into_event))),
        }
    }
}

impl<D: Dialect> Request<D, Statements> for ChangeEvent {
    const NEEDS_NO_OWNER: bool = true;
    type Answer = Change;

    fn operation(&self) -> &'static str {
        match self.kind {
            RowChange::Release => "release the event",
            RowChange::Complete => "complete the event",
            RowChange::Delete => "forget the event",
        }
    }

    fn send(
        &self,
        connection: &mut D::Connection,
        statements: &Statements,
        attempt: Attempt,
    ) -> impl QueryFuture<Change> {
        async move {
            let (statement, values) = self.statement(statements);
            let changed = <D as OperationsDialect>::change(&mut *connection, statement, values).await?;
            let now = events::<D>(connection, statements.look(self.seen.id())).await?.into_iter().next();
            self.outcome(statements.level, changed, now, attempt)
        }
    }
}
