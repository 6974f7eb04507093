//! The statements, written once over the expressions of each database.

use std::fmt::Write as _;

use super::expressions::Expressions;
use super::rows::{OperationsDialect, Value};
use crate::operations::{EventState, Filter};
use crate::sql::columns::{FoundColumn, SchemaLevel};
use crate::sql::dialect::Dialect;
use crate::sql::table::TableName;
use crate::sql::table_check;

const LOOK: &str = "\
SELECT {columns}
FROM stripe_processed_events
WHERE event_id = ?";

/// The rows of a part of the table that match. The part is read along the primary key, so that its cost does not
/// depend on the size of the table.
const LIST: &str = "\
SELECT {columns}
FROM (
  SELECT {read} FROM stripe_processed_events WHERE event_id > ? ORDER BY event_id LIMIT ?
) AS part
WHERE {matches}
ORDER BY event_id
LIMIT ?";

/// The last key of a part.
const PART_END: &str = "\
SELECT {last}, {no number}, {no number}
FROM (
  SELECT event_id FROM stripe_processed_events WHERE event_id > ? ORDER BY event_id LIMIT ?
) AS part";

/// For each state: its number, and the oldest. NULL for the key.
const COUNT: &str = "\
SELECT {no bytes}, COUNT(*), MIN({received})
FROM (
  SELECT {read} FROM stripe_processed_events WHERE event_id > ? ORDER BY event_id LIMIT ?
) AS part
WHERE {matches}";

const UPDATE: &str = "\
{patience}UPDATE stripe_processed_events
SET state = ?, owner = {bound owner}, lease_until = NULL, updated_at = {updated now}{no reply}
{from}
WHERE event_id = ? AND {version}";

/// A reply is deleted by a change of its event.
const NO_REPLY: &str = ", reply_until = NULL, reply = NULL";

const FORGET_REPLY: &str = "\
{patience}UPDATE stripe_processed_events
SET reply_until = NULL, reply = NULL
{from}
WHERE event_id = ? AND {version}";

const DELETE: &str = "\
{patience}DELETE FROM stripe_processed_events{using}
WHERE event_id = ? AND {version}";

/// Written out for one table as it is.
pub(super) struct Statements {
    pub(super) level: SchemaLevel,
    pub(super) has_received_at: bool,
    pub(super) has_replies: bool,
    expressions: &'static Expressions,
    table: TableName,
    received: String,
}

impl Statements {
    pub(super) fn new<D: Dialect>(table: &TableName, level: SchemaLevel, found: &[FoundColumn]) -> Self {
        let expressions = const { &<D as OperationsDialect>::EXPRESSIONS };
        let has_received_at = found.iter().any(|column| column.name.eq_ignore_ascii_case("received_at"));
        let received = if has_received_at {
            expressions.received.replace("{received}", D::RECEIVED)
        } else {
            expressions.no_number.to_owned()
        };
        let has_replies = level == SchemaLevel::Full && table_check::has_replies(found);
        Self { level, has_received_at, has_replies, expressions, table: table.clone(), received }
    }

    /// The columns of [`StoredEvent`](super::rows::StoredEvent).
    fn columns(&self) -> String {
        let Expressions { id, event_type, state, owner, token, updated, lease_left, .. } = self.expressions;
        let Expressions { one, no_number, no_bytes, .. } = self.expressions;
        let received = &self.received;
        match self.level {
            SchemaLevel::Full => {
                let reply_until = if self.has_replies { self.expressions.reply_until } else { no_number };
                format!(
                    "{id}, {event_type}, {owner}, {state}, {token}, {received}, {updated}, {lease_left}, {reply_until}"
                )
            }
            // Every row of a plain table is processed.
            SchemaLevel::Plain => format!(
                "{id}, {event_type}, {no_bytes}, {one}, {one} - 1, {received}, {no_number}, {no_number}, {no_number}"
            ),
        }
    }

    /// The columns that a part is read with. Not all of them, because replies may be large.
    fn read(&self) -> String {
        let mut read = "event_id, event_type".to_owned();
        if self.has_received_at {
            read.push_str(", received_at");
        }
        if self.level == SchemaLevel::Full {
            read.push_str(", state, owner, fencing_token, lease_until, updated_at");
        }
        if self.has_replies {
            read.push_str(", reply_until");
        }
        read
    }

    /// The statement for this table, with the database's own parameters.
    fn written(&self, statement: &str) -> String {
        let expressions = self.expressions;
        let last = match expressions.numbered {
            // MAX over bytes is not known to every PostgreSQL.
            Some('$') => expressions.id.replace("event_id", "max(event_id)"),
            _ => expressions.id.replace("event_id", "MAX(event_id)"),
        };
        let statement = statement
            .replace("{columns}", &self.columns())
            .replace("{read}", &self.read())
            .replace("{no reply}", if self.has_replies { NO_REPLY } else { "" })
            .replace("{last}", &last)
            .replace("{received}", &self.received)
            .replace("{no number}", expressions.no_number)
            .replace("{no bytes}", expressions.no_bytes)
            .replace("{bound owner}", expressions.bound_owner)
            .replace("{updated now}", expressions.updated_now)
            .replace("{patience}", expressions.patience)
            .replace("{from}", expressions.from)
            .replace("{using}", expressions.using);
        numbered(&self.table.in_statement(&statement), expressions.numbered)
    }

    pub(super) fn look(&self, id: &str) -> (String, Vec<Value>) {
        (self.written(LOOK), vec![Value::Key(id.as_bytes().to_vec())])
    }

    pub(super) fn list(
        &self,
        filter: &Filter,
        after: &[u8],
        part: i64,
        limit: usize,
    ) -> (String, Vec<Value>) {
        let mut values = vec![Value::Key(after.to_vec()), Value::Number(part)];
        let matches = self.matches(filter, &mut values);
        values.push(Value::Number(i64::try_from(limit).unwrap_or(i64::MAX)));
        (self.written(&LIST.replace("{matches}", &matches)), values)
    }

    pub(super) fn part_end(&self, after: &[u8], part: i64) -> (String, Vec<Value>) {
        (self.written(PART_END), vec![Value::Key(after.to_vec()), Value::Number(part)])
    }

    pub(super) fn count(&self, state: EventState, after: &[u8], part: i64) -> (String, Vec<Value>) {
        let values = vec![Value::Key(after.to_vec()), Value::Number(part)];
        (self.written(&COUNT.replace("{matches}", &self.is_in(state))), values)
    }

    /// Takes the condition on what was seen.
    pub(super) fn conditional(&self, is_delete: bool, version: &str) -> String {
        self.written(&(if is_delete { DELETE } else { UPDATE }).replace("{version}", version))
    }

    /// Takes the condition on what was seen.
    pub(super) fn forget_reply(&self, version: &str) -> String {
        self.written(&FORGET_REPLY.replace("{version}", version))
    }

    pub(super) fn expressions(&self) -> &'static Expressions {
        self.expressions
    }

    pub(super) fn received(&self) -> &str {
        &self.received
    }

    fn is_in(&self, state: EventState) -> String {
        let left = self.expressions.lease_left;
        if self.level == SchemaLevel::Plain {
            return if state == EventState::Processed { "1 = 1" } else { "1 = 0" }.to_owned();
        }
        match state {
            EventState::Claimed => format!("state = 0 AND ({left}) > 0"),
            EventState::LeaseEnded => format!("state = 0 AND COALESCE({left}, 0) <= 0"),
            EventState::Released => "state NOT IN (0, 1)".to_owned(),
            EventState::Processed => "state = 1".to_owned(),
        }
    }

    fn matches(&self, filter: &Filter, values: &mut Vec<Value>) -> String {
        let Expressions { event_type, now, .. } = self.expressions;
        let mut matches = "1 = 1".to_owned();
        let mut and = |condition: &str, value: Option<Value>| {
            matches.push_str(" AND ");
            matches.push_str(condition);
            values.extend(value);
        };
        if let Some(state) = filter.state {
            and(&self.is_in(state), None);
        }
        if let Some(wanted) = &filter.event_type {
            and(&format!("{event_type} = ?"), Some(Value::Bytes(wanted.as_bytes().to_vec())));
        }
        if let Some(min) = filter.min_age {
            and(&format!("({}) <= {now} - ?", self.received), Some(Value::age(min)));
        }
        if let Some(max) = filter.max_age {
            and(&format!("({}) >= {now} - ?", self.received), Some(Value::age(max)));
        }
        if let Some(min) = filter.min_token.filter(|min| *min > 0) {
            match self.level {
                SchemaLevel::Full => {
                    and("fencing_token >= ?", Some(Value::Number(i64::try_from(min).unwrap_or(i64::MAX))));
                }
                SchemaLevel::Plain => and("1 = 0", None),
            }
        }
        matches
    }
}

/// The statement with the parameters `?` numbered, if the database has them so.
pub(crate) fn numbered(statement: &str, sign: Option<char>) -> String {
    let Some(sign) = sign else { return statement.to_owned() };
    let mut numbered = String::with_capacity(statement.len() + 16);
    for (number, part) in statement.split('?').enumerate() {
        if number > 0 {
            // Writing to a string cannot fail.
            let _ = write!(numbered, "{sign}{number}");
        }
        numbered.push_str(part);
    }
    numbered
}
