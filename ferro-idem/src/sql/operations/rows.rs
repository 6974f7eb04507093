//! What a statement takes and returns, the same in every database.

use std::future::Future;
use std::time::{Duration, SystemTime};

use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Row};

use super::expressions::Expressions;
use crate::operations::{EventState, LoggedEvent};
use crate::owner::Owner;
use crate::sql::event_state::token_of;

/// A value to bind.
#[derive(Clone, Debug)]
pub enum Value {
    /// A key, as the database compares keys.
    Key(Vec<u8>),
    Bytes(Vec<u8>),
    Number(i64),
}

/// A row with the columns of [`Expressions::columns`](super::expressions::Expressions::columns).
#[derive(Debug)]
pub struct StoredEvent {
    pub(super) id: Vec<u8>,
    event_type: Option<Vec<u8>>,
    state: i64,
    owner: Option<Vec<u8>>,
    token: i64,
    received_ms: Option<i64>,
    updated_ms: Option<i64>,
    lease_left_ms: Option<i64>,
}

impl StoredEvent {
    pub(super) fn is_of(&self, owner: Owner) -> bool {
        self.owner.as_deref() == Some(owner.as_bytes().as_slice())
    }

    pub(super) fn owner(&self) -> Option<Owner> {
        self.owner.as_deref().and_then(|owner| owner.try_into().ok()).map(Owner::from_bytes)
    }

    pub(super) fn state(&self) -> i64 {
        self.state
    }

    pub(super) fn into_event(self) -> LoggedEvent {
        let left = self.lease_left_ms.and_then(|left| u64::try_from(left).ok()).map(Duration::from_millis);
        let state = EventState::of(self.state, left);
        LoggedEvent::new(text(self.id.clone()), state)
            .with_type(self.event_type.clone().map(text))
            .with_fencing_token(token_of(self.token))
            .with_owner(self.owner())
            .with_lease_left(left.filter(|_| state == EventState::Claimed))
            .with_received_at(self.received_ms.and_then(time_of))
            .with_updated_at(self.updated_ms.and_then(time_of))
    }
}

/// Databases may hold bytes that are no text, although no log writes them.
fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// From milliseconds since 1970.
pub(super) fn time_of(millis: i64) -> Option<SystemTime> {
    let since = Duration::from_millis(millis.unsigned_abs());
    if millis < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(since)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(since)
    }
}

/// To milliseconds since 1970, as they were read.
pub(super) fn millis_of(time: SystemTime) -> i64 {
    let millis = |since: Duration| i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => millis(since),
        Err(before) => -millis(before.duration()),
    }
}

/// A key and two numbers.
pub(super) type Sums = (Option<Vec<u8>>, Option<i64>, Option<i64>);

/// The part of operations that differs between databases. A part of [`Dialect`](crate::sql::dialect::Dialect).
#[allow(missing_docs)]
pub trait OperationsDialect: sqlx::Database {
    /// Expressions over the columns of the table.
    const EXPRESSIONS: Expressions;

    /// The rows of events.
    fn events(
        connection: &mut Self::Connection,
        statement: String,
        values: Vec<Value>,
    ) -> impl Future<Output = Result<Vec<StoredEvent>, sqlx::Error>> + Send;

    /// Rows of a key and two numbers.
    fn sums(
        connection: &mut Self::Connection,
        statement: String,
        values: Vec<Value>,
    ) -> impl Future<Output = Result<Vec<Sums>, sqlx::Error>> + Send;

    /// Changes rows, and returns their number.
    fn change(
        connection: &mut Self::Connection,
        statement: String,
        values: Vec<Value>,
    ) -> impl Future<Output = Result<u64, sqlx::Error>> + Send;
}

/// The text is the same for each database, and its types are not.
macro_rules! operations_of {
    ($database:ty, $expressions:expr, |$key:ident| $bound_key:expr) => {
        const _: () = {
            fn bound(
                statement: String,
                values: Vec<Value>,
            ) -> Query<'static, $database, <$database as sqlx::Database>::Arguments> {
                let mut query = sqlx::query(AssertSqlSafe(statement)).persistent(false);
                for value in values {
                    query = match value {
                        Value::Key($key) => query.bind($bound_key),
                        Value::Bytes(bytes) => query.bind(bytes),
                        Value::Number(number) => query.bind(number),
                    };
                }
                query
            }

            impl OperationsDialect for $database {
                const EXPRESSIONS: Expressions = $expressions;

                async fn events(
                    connection: &mut Self::Connection,
                    statement: String,
                    values: Vec<Value>,
                ) -> Result<Vec<StoredEvent>, sqlx::Error> {
                    let rows = bound(statement, values).fetch_all(connection).await?;
                    let event = |row: &<Self as sqlx::Database>::Row| {
                        Ok(StoredEvent {
                            id: row.try_get(0)?,
                            event_type: row.try_get(1)?,
                            state: row.try_get(2)?,
                            owner: row.try_get(3)?,
                            token: row.try_get(4)?,
                            received_ms: row.try_get(5)?,
                            updated_ms: row.try_get(6)?,
                            lease_left_ms: row.try_get(7)?,
                        })
                    };
                    rows.iter().map(event).collect()
                }

                async fn sums(
                    connection: &mut Self::Connection,
                    statement: String,
                    values: Vec<Value>,
                ) -> Result<Vec<Sums>, sqlx::Error> {
                    let rows = bound(statement, values).fetch_all(connection).await?;
                    let sums = |row: &<Self as sqlx::Database>::Row| {
                        Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))
                    };
                    rows.iter().map(sums).collect()
                }

                async fn change(
                    connection: &mut Self::Connection,
                    statement: String,
                    values: Vec<Value>,
                ) -> Result<u64, sqlx::Error> {
                    Ok(bound(statement, values).execute(connection).await?.rows_affected())
                }
            }
        };
    };
}

#[cfg(feature = "mysql")]
operations_of!(sqlx::MySql, super::expressions::MYSQL, |key| key);
#[cfg(feature = "postgres")]
operations_of!(sqlx::Postgres, super::expressions::POSTGRES, |key| text(key));
#[cfg(feature = "sqlite")]
operations_of!(sqlx::Sqlite, super::expressions::SQLITE, |key| text(key));
