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

/// A thousand years. Subtracting it from the time cannot overflow.
const MAX_AGE_MILLIS: i64 = 31_557_600_000_000;

impl Value {
    /// An age in milliseconds.
    pub(crate) fn age(age: Duration) -> Self {
        Self::Number(i64::try_from(age.as_millis()).unwrap_or(i64::MAX).min(MAX_AGE_MILLIS))
    }
}

/// A row: columns of bytes, and columns of numbers after them.
#[derive(Debug)]
pub struct Cells {
    bytes: Vec<Option<Vec<u8>>>,
    numbers: Vec<Option<i64>>,
}

impl Cells {
    /// The bytes of this column. `None`: NULL, or there is no such column.
    pub(crate) fn take_bytes(&mut self, column: usize) -> Option<Vec<u8>> {
        self.bytes.get_mut(column).and_then(Option::take)
    }

    /// The same as text. Databases may hold bytes that are no text, although nothing here writes them.
    #[cfg(feature = "inbox")]
    pub(crate) fn take_text(&mut self, column: usize) -> Option<String> {
        self.take_bytes(column).map(text)
    }

    /// The owner in this column.
    pub(crate) fn owner(&self, column: usize) -> Option<Owner> {
        let bytes = self.bytes.get(column).and_then(Option::as_deref);
        bytes.and_then(|owner| owner.try_into().ok()).map(Owner::from_bytes)
    }

    /// The number of this column, counted from the first number.
    pub(crate) fn number(&self, column: usize) -> Option<i64> {
        self.numbers.get(column).copied().flatten()
    }

    /// The same as a count.
    pub(crate) fn count(&self, column: usize) -> u64 {
        self.number(column).and_then(|count| u64::try_from(count).ok()).unwrap_or(0)
    }
}

/// A row with the columns of [`Statements::columns`](super::statements::Statements).
#[derive(Debug)]
pub(super) struct StoredEvent {
    pub(super) id: Vec<u8>,
    event_type: Option<Vec<u8>>,
    owner: Option<Owner>,
    state: i64,
    token: i64,
    received_ms: Option<i64>,
    updated_ms: Option<i64>,
    lease_left_ms: Option<i64>,
    reply_until_ms: Option<i64>,
}

impl StoredEvent {
    /// How many of its columns are bytes.
    pub(super) const BYTES: usize = 3;

    pub(super) fn of(mut cells: Cells) -> Self {
        Self {
            id: cells.take_bytes(0).unwrap_or_default(),
            event_type: cells.take_bytes(1),
            owner: cells.owner(2),
            state: cells.number(0).unwrap_or_default(),
            token: cells.number(1).unwrap_or_default(),
            received_ms: cells.number(2),
            updated_ms: cells.number(3),
            lease_left_ms: cells.number(4),
            reply_until_ms: cells.number(5),
        }
    }

    pub(super) fn is_of(&self, owner: Owner) -> bool {
        self.owner == Some(owner)
    }

    pub(super) fn owner(&self) -> Option<Owner> {
        self.owner
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
            .with_owner(self.owner)
            .with_lease_left(left.filter(|_| state == EventState::Claimed))
            .with_received_at(self.received_ms.and_then(time_of))
            .with_updated_at(self.updated_ms.and_then(time_of))
            .with_reply_until(self.reply_until_ms.and_then(time_of))
    }
}

/// Databases may hold bytes that are no text, although no log writes them.
fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// From milliseconds since 1970.
pub(crate) fn time_of(millis: i64) -> Option<SystemTime> {
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

/// The part of operations that differs between databases. A part of [`Dialect`](crate::sql::dialect::Dialect).
#[allow(missing_docs)]
pub trait OperationsDialect: sqlx::Database {
    /// Expressions over the columns of the table.
    const EXPRESSIONS: Expressions;

    /// The rows of a query whose first columns, so many, are bytes.
    fn cells(
        connection: &mut Self::Connection,
        statement: String,
        values: Vec<Value>,
        bytes: usize,
    ) -> impl Future<Output = Result<Vec<Cells>, sqlx::Error>> + Send;

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

                async fn cells(
                    connection: &mut Self::Connection,
                    statement: String,
                    values: Vec<Value>,
                    bytes: usize,
                ) -> Result<Vec<Cells>, sqlx::Error> {
                    let rows = bound(statement, values).fetch_all(connection).await?;
                    let cells = |row: &<Self as sqlx::Database>::Row| {
                        Ok(Cells {
                            bytes: (0..bytes).map(|column| row.try_get(column)).collect::<Result<_, _>>()?,
                            numbers: (bytes..row.len())
                                .map(|column| row.try_get(column))
                                .collect::<Result<_, _>>()?,
                        })
                    };
                    rows.iter().map(cells).collect()
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
