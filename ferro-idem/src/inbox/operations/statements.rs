//! The statements, written once over the expressions of each database.
//!
//! A table is read along its primary key, a part at a time, so that the cost of a statement does not depend on the size
//! of the table. Events that are not processed are never looked up by their key, which has no index there: that would
//! make receiving and taking slower.

use std::iter::repeat_n;

use super::event::InboxState;
use super::expressions::InboxExpressions;
use super::listing::InboxFilter;
use crate::inbox::dialect::InboxDatabase;
use crate::inbox::names::Names;
use crate::sql::{Value, numbered};

/// How many rows one statement reads at most. It takes some ten milliseconds.
pub(super) const PART: i64 = 10_000;

/// Sorts before every key. MySQL keeps locks of order keys under keys that begin with NUL.
pub(super) const BEFORE_KEYS: &[u8] = &[1];

/// The rows of a part that match.
const LIST: &str = "\
SELECT {columns}
FROM (
  SELECT * FROM webhook_inbox WHERE seq > ? ORDER BY seq LIMIT ?
) AS part
WHERE {matches}
ORDER BY seq
LIMIT ?";

/// The end of a part, and how many rows it has.
const PART_END: &str = "\
SELECT MAX(seq), COUNT(*)
FROM (
  SELECT seq FROM webhook_inbox WHERE seq > ? ORDER BY seq LIMIT ?
) AS part";

const LAST: &str = "SELECT MAX(seq) FROM webhook_inbox";

/// For each state: its number, and the oldest.
const COUNT: &str = "\
SELECT CAST(state AS {number}), CAST(is_later AS {number}), COUNT(*), MIN(received)
FROM (
  SELECT state, CASE WHEN {due in} > 0 THEN 1 ELSE 0 END AS is_later, {received} AS received
  FROM webhook_inbox WHERE seq > ? ORDER BY seq LIMIT ?
) AS part
GROUP BY state, is_later";

/// One row, and the size of what is stored of it.
const LOOK: &str = "\
SELECT {columns}, CAST(LENGTH(body) AS {number})
FROM webhook_inbox AS part LEFT JOIN webhook_inbox_body USING (seq)
WHERE seq = ?";

const LOOK_AT_KEY: &str = "\
SELECT {key}, {received}
FROM webhook_inbox_seen
WHERE event_id = ?";

const LIST_KEYS: &str = "\
SELECT {key}, {received}
FROM (
  SELECT * FROM webhook_inbox_seen WHERE event_id > ? ORDER BY event_id LIMIT ?
) AS part
WHERE {matches}
ORDER BY event_id
LIMIT ?";

/// The last key of a part, and how many it has.
const KEYS_END: &str = "\
SELECT {last key}, COUNT(*)
FROM (
  SELECT event_id FROM webhook_inbox_seen WHERE event_id > ? ORDER BY event_id LIMIT ?
) AS part";

/// The condition that every row meets.
const ALL: &str = "1 = 1";

/// A statement and its values.
pub(super) type Statement = (String, Vec<Value>);

/// Which rows of a part to read.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    matches: String,
    values: Vec<Value>,
}

/// Written out for the tables of one inbox.
#[derive(Clone, Debug)]
pub(super) struct Statements {
    names: Names,
    expressions: &'static InboxExpressions,
}

impl Statements {
    pub(super) fn new<D: InboxDatabase>(names: &Names) -> Self {
        Self { names: names.clone(), expressions: const { &D::INBOX_EXPRESSIONS } }
    }

    fn written(&self, statement: &str) -> String {
        let InboxExpressions { key, sender, event_type, order_key, last_error, owner, .. } = self.expressions;
        let InboxExpressions { received, due_in, number, .. } = self.expressions;
        let columns = format!(
            "{key}, {sender}, {event_type}, {order_key}, {last_error}, {owner}, seq, CAST(state AS {number}), \
             CAST(attempts AS {number}), CAST(fencing_token AS {number}), {due_in}, {received}"
        );
        let statement = statement
            .replace("{columns}", &columns)
            .replace("{last key}", &key.replace("event_id", "MAX(event_id)"))
            .replace("{key}", key)
            .replace("{received}", received)
            .replace("{due in}", due_in)
            .replace("{number}", number);
        numbered(&self.names.in_statement(&statement), self.expressions.numbered)
    }

    pub(super) fn list(&self, condition: &Condition, after: i64, limit: usize) -> Statement {
        let mut values = vec![Value::Number(after), condition.part(limit)];
        values.extend(condition.values.iter().cloned());
        values.push(limit_of(limit));
        (self.written(&LIST.replace("{matches}", &condition.matches)), values)
    }

    pub(super) fn part_end(&self, after: i64, part: i64) -> Statement {
        (self.written(PART_END), vec![Value::Number(after), Value::Number(part)])
    }

    pub(super) fn last(&self) -> Statement {
        (self.written(LAST), Vec::new())
    }

    pub(super) fn count(&self, after: i64) -> Statement {
        (self.written(COUNT), vec![Value::Number(after), Value::Number(PART)])
    }

    pub(super) fn look(&self, seq: i64) -> Statement {
        (self.written(LOOK), vec![Value::Number(seq)])
    }

    pub(super) fn look_at_key(&self, key: &str) -> Statement {
        (self.written(LOOK_AT_KEY), vec![Value::Key(key.as_bytes().to_vec())])
    }

    pub(super) fn list_keys(&self, condition: &Condition, after: &[u8], limit: usize) -> Statement {
        let mut values = vec![Value::Key(after.to_vec()), condition.part(limit)];
        values.extend(condition.values.iter().cloned());
        values.push(limit_of(limit));
        (self.written(&LIST_KEYS.replace("{matches}", &condition.matches)), values)
    }

    pub(super) fn keys_end(&self, after: &[u8]) -> Statement {
        (self.written(KEYS_END), vec![Value::Key(after.to_vec()), Value::Number(PART)])
    }

    /// The rows of these keys.
    pub(super) fn of_keys(keys: &[&[u8]]) -> Condition {
        let places: Vec<&str> = repeat_n("?", keys.len()).collect();
        Condition {
            matches: format!("event_id IN ({})", places.join(", ")),
            values: keys.iter().map(|key| Value::Key(key.to_vec())).collect(),
        }
    }

    /// The rows that match the filter, up to the row `until`.
    pub(super) fn matching(&self, filter: &InboxFilter, until: Option<i64>) -> Condition {
        let InboxExpressions { sender, event_type, due_in, error_contains, .. } = self.expressions;
        let mut condition = self.of_ages(filter);
        if let Some(state) = filter.state {
            condition.and(
                &match state {
                    InboxState::Waiting => format!("(state = 3 OR (state = 0 AND ({due_in}) <= 0))"),
                    InboxState::BackingOff => format!("state = 0 AND ({due_in}) > 0"),
                    InboxState::Running => format!("state = 1 AND ({due_in}) > 0"),
                    InboxState::LeaseEnded => format!("state = 1 AND COALESCE({due_in}, 0) <= 0"),
                    InboxState::Parked => "state = 2".to_owned(),
                    InboxState::Processed => "1 = 0".to_owned(),
                },
                None,
            );
        }
        if let Some(wanted) = &filter.sender {
            condition.and(&format!("{sender} = ?"), Some(Value::Bytes(wanted.as_bytes().to_vec())));
        }
        if let Some(wanted) = &filter.event_type {
            condition.and(&format!("{event_type} = ?"), Some(Value::Bytes(wanted.as_bytes().to_vec())));
        }
        if let Some(min) = filter.min_attempts.filter(|min| *min > 0) {
            condition.and("attempts >= ?", Some(Value::Number(min.into())));
        }
        match filter.error.as_deref() {
            None => {}
            Some("") => condition.and("last_error IS NOT NULL", None),
            Some(text) => condition.and(error_contains, Some(Value::Bytes(text.as_bytes().to_vec()))),
        }
        if let Some(until) = until {
            condition.and("seq <= ?", Some(Value::Number(until)));
        }
        condition
    }

    /// The rows of these ages. Keys of processed events have nothing else.
    pub(super) fn of_ages(&self, filter: &InboxFilter) -> Condition {
        let InboxExpressions { received, now, .. } = self.expressions;
        let mut condition = Condition { matches: ALL.to_owned(), values: Vec::new() };
        if let Some(min) = filter.min_age {
            condition.and(&format!("({received}) <= {now} - ?"), Some(Value::age(min)));
        }
        if let Some(max) = filter.max_age {
            condition.and(&format!("({received}) >= {now} - ?"), Some(Value::age(max)));
        }
        condition
    }
}

impl Condition {
    /// How many rows to read. MySQL reads a part to its end, also if no more than a few rows of it are wanted.
    fn part(&self, limit: usize) -> Value {
        if self.matches == ALL { limit_of(limit) } else { Value::Number(PART) }
    }

    fn and(&mut self, condition: &str, value: Option<Value>) {
        self.matches.push_str(" AND ");
        self.matches.push_str(condition);
        self.values.extend(value);
    }
}

fn limit_of(limit: usize) -> Value {
    Value::Number(i64::try_from(limit).unwrap_or(i64::MAX))
}
