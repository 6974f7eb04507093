//! PostgreSQL's statements. They take arrays, so that one statement serves one event or many.
//!
//! Times are `clock_timestamp()`: `now()` stands still while a statement waits for a lock, and a lease
//! would come out short.

use std::sync::Arc;

use crate::sql::columns::SchemaLevel;
use crate::sql::event_state::ClaimStep;
use crate::sql::table::TableName;

pub(super) const SCHEMA: &str = "\
CREATE TABLE IF NOT EXISTS stripe_processed_events (
  event_id    TEXT COLLATE \"C\" PRIMARY KEY,
  event_type  TEXT NOT NULL,
  received_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  state       SMALLINT NOT NULL DEFAULT 1,
  owner       UUID,
  fencing_token       BIGINT NOT NULL DEFAULT 0,
  lease_until TIMESTAMPTZ,
  updated_at  TIMESTAMPTZ NOT NULL DEFAULT now()
);";

/// The defaults are constants for the statement, so that no row is rewritten
/// (<https://www.postgresql.org/docs/current/ddl-alter.html#DDL-ALTER-ADDING-A-COLUMN>).
pub(super) const UPGRADE: &str = "\
ALTER TABLE stripe_processed_events ADD COLUMN state SMALLINT NOT NULL DEFAULT 1;
ALTER TABLE stripe_processed_events ADD COLUMN owner UUID;
ALTER TABLE stripe_processed_events ADD COLUMN fencing_token BIGINT NOT NULL DEFAULT 0;
ALTER TABLE stripe_processed_events ADD COLUMN lease_until TIMESTAMPTZ;
ALTER TABLE stripe_processed_events ADD COLUMN updated_at TIMESTAMPTZ NOT NULL DEFAULT now();";

/// For one event, the first time that it is asked for. The server plans it once; what takes arrays it plans
/// each time, because it cannot know how long they are. It waits for a lock without end, also when nobody
/// waits for its answer any more.
const MARK_ONE: &str = "INSERT INTO stripe_processed_events (event_id, event_type, owner) \
     VALUES ($1, $2, $3) ON CONFLICT (event_id) DO NOTHING";

const MARK_ONE_PLAIN: &str = "INSERT INTO stripe_processed_events (event_id, event_type) \
     SELECT $1, $2 WHERE $3::uuid IS NOT NULL ON CONFLICT (event_id) DO NOTHING";

const MARK: &str = "WITH patience AS MATERIALIZED (SELECT set_config('lock_timeout', '250ms', true)) \
     INSERT INTO stripe_processed_events (event_id, event_type, owner) \
     SELECT id, type, owner FROM patience, \
     unnest($1::text[], $2::text[], $3::uuid[]) AS b (id, type, owner) \
     ON CONFLICT (event_id) DO NOTHING RETURNING event_id::text";

/// A row that an earlier attempt made, by its owner, is returned as well.
const MARK_AGAIN: &str = "WITH patience AS MATERIALIZED (SELECT set_config('lock_timeout', '250ms', true)) \
     INSERT INTO stripe_processed_events AS e (event_id, event_type, owner) \
     SELECT id, type, owner FROM patience, \
     unnest($1::text[], $2::text[], $3::uuid[]) AS b (id, type, owner) \
     ON CONFLICT (event_id) DO UPDATE SET owner = e.owner WHERE e.owner = EXCLUDED.owner \
     RETURNING e.event_id::text";

/// What was processed before the statement began stays processed, and is returned with the fence 0, which
/// no claim has: a duplicate costs no second statement.
///
/// `EXCLUDED.updated_at` is the time that `EXCLUDED.lease_until` was counted from.
const CLAIM: &str = "WITH patience AS MATERIALIZED (SELECT set_config('lock_timeout', '250ms', true)), \
     claimed AS (INSERT INTO stripe_processed_events AS e \
     (event_id, event_type, state, owner, fencing_token, lease_until, updated_at) \
     SELECT id, type, 0, owner, 1, at + lease * interval '1 millisecond', at \
     FROM patience, \
     unnest($1::text[], $2::text[], $3::uuid[], $4::bigint[]) AS b (id, type, owner, lease), \
     (SELECT clock_timestamp() AS at) AS clock \
     ON CONFLICT (event_id) DO UPDATE SET state = 0, owner = EXCLUDED.owner, \
     fencing_token = e.fencing_token + (e.owner IS DISTINCT FROM EXCLUDED.owner)::int, \
     lease_until = clock_timestamp() + (EXCLUDED.lease_until - EXCLUDED.updated_at), \
     updated_at = clock_timestamp() \
     WHERE e.state <> 1 AND (e.owner = EXCLUDED.owner OR e.state = 2 \
     OR e.lease_until IS NULL OR e.lease_until <= clock_timestamp()) \
     RETURNING e.event_id::text AS id, e.fencing_token) \
     SELECT id, fencing_token FROM claimed UNION ALL \
     SELECT event_id::text, 0::bigint FROM stripe_processed_events WHERE event_id = ANY($1::text[]) AND state = 1";

/// As [`CLAIM`], for one event.
const CLAIM_ONE: &str = "WITH claimed AS (INSERT INTO stripe_processed_events AS e \
     (event_id, event_type, state, owner, fencing_token, lease_until) \
     VALUES ($1, $2, 0, $3, 1, clock_timestamp() + $4 * interval '1 millisecond') \
     ON CONFLICT (event_id) DO UPDATE SET state = 0, owner = EXCLUDED.owner, \
     fencing_token = e.fencing_token + (e.owner IS DISTINCT FROM EXCLUDED.owner)::int, \
     lease_until = clock_timestamp() + $4 * interval '1 millisecond', updated_at = clock_timestamp() \
     WHERE e.state <> 1 AND (e.owner = EXCLUDED.owner OR e.state = 2 \
     OR e.lease_until IS NULL OR e.lease_until <= clock_timestamp()) RETURNING fencing_token) \
     SELECT fencing_token FROM claimed UNION ALL \
     SELECT 0::bigint FROM stripe_processed_events WHERE event_id = $1 AND state = 1";

const LOOK: &str = "SELECT event_id::text, state::bigint, \
     (EXTRACT(EPOCH FROM lease_until - clock_timestamp()) * 1000)::bigint \
     FROM stripe_processed_events WHERE event_id = ANY($1::text[])";

/// Every row of a plain table is processed.
const LOOK_PLAIN: &str = "SELECT event_id::text, 1::bigint, NULL::bigint \
     FROM stripe_processed_events WHERE event_id = ANY($1::text[])";

const RENEW: &str = "WITH patience AS MATERIALIZED (SELECT set_config('lock_timeout', '250ms', true)) \
     UPDATE stripe_processed_events AS e \
     SET lease_until = clock_timestamp() + b.lease * interval '1 millisecond' \
     FROM patience, unnest($1::text[], $2::uuid[], $3::bigint[], $4::bigint[]) AS b (id, owner, fencing_token, lease) \
     WHERE e.event_id = b.id AND e.owner = b.owner AND e.fencing_token = b.fencing_token AND e.state = 0 \
     RETURNING e.event_id::text";

const COMPLETE: &str = "WITH patience AS MATERIALIZED (SELECT set_config('lock_timeout', '250ms', true)) \
     UPDATE stripe_processed_events AS e \
     SET state = 1, lease_until = NULL, updated_at = clock_timestamp() \
     FROM patience, unnest($1::text[], $2::uuid[], $3::bigint[]) AS b (id, owner, fencing_token) \
     WHERE e.event_id = b.id AND e.owner = b.owner AND e.fencing_token = b.fencing_token AND e.state IN (0, 1) \
     RETURNING e.event_id::text";

const RELEASE: &str = "WITH patience AS MATERIALIZED (SELECT set_config('lock_timeout', '250ms', true)) \
     UPDATE stripe_processed_events AS e \
     SET state = 2, lease_until = NULL, updated_at = clock_timestamp() \
     FROM patience, unnest($1::text[], $2::uuid[], $3::bigint[]) AS b (id, owner, fencing_token) \
     WHERE e.event_id = b.id AND e.owner = b.owner AND e.fencing_token = b.fencing_token AND e.state IN (0, 2) \
     RETURNING e.event_id::text";

const WITHDRAW: &str = "WITH patience AS MATERIALIZED (SELECT set_config('lock_timeout', '250ms', true)) \
     UPDATE stripe_processed_events AS e \
     SET state = 2, owner = NULL, fencing_token = e.fencing_token - 1, lease_until = NULL, updated_at = clock_timestamp() \
     FROM patience, unnest($1::text[], $2::uuid[], $3::bigint[]) AS b (id, owner, fencing_token) \
     WHERE e.event_id = b.id AND e.owner = b.owner AND e.fencing_token = b.fencing_token AND e.state = 0 \
     RETURNING e.event_id::text";

const RENEW_ONE: &str = "UPDATE stripe_processed_events \
     SET lease_until = clock_timestamp() + $4 * interval '1 millisecond' \
     WHERE event_id = $1 AND owner = $2 AND fencing_token = $3 AND state = 0";

const COMPLETE_ONE: &str = "UPDATE stripe_processed_events \
     SET state = 1, lease_until = NULL, updated_at = clock_timestamp() \
     WHERE event_id = $1 AND owner = $2 AND fencing_token = $3 AND state IN (0, 1)";

const RELEASE_ONE: &str = "UPDATE stripe_processed_events \
     SET state = 2, lease_until = NULL, updated_at = clock_timestamp() \
     WHERE event_id = $1 AND owner = $2 AND fencing_token = $3 AND state IN (0, 2)";

const WITHDRAW_ONE: &str = "UPDATE stripe_processed_events \
     SET state = 2, owner = NULL, fencing_token = fencing_token - 1, lease_until = NULL, updated_at = clock_timestamp() \
     WHERE event_id = $1 AND owner = $2 AND fencing_token = $3 AND state = 0";

/// Not granted where another transaction has it, instead of waiting for that one's handler. The lock ends
/// with the transaction. Two events may share a number: the second is then told to come again.
const ENTER: &str = "SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0))";

const TAKE_OVER: &str = "UPDATE stripe_processed_events \
     SET state = 1, owner = $2, fencing_token = fencing_token + 1, lease_until = NULL, updated_at = clock_timestamp() \
     WHERE event_id = $1 AND state <> 1 AND (state = 2 OR lease_until IS NULL OR lease_until <= clock_timestamp())";

/// Only rows that a mark made. Claims and transactions have another state or token.
const UNMARK: &str = "WITH patience AS MATERIALIZED (SELECT set_config('lock_timeout', '250ms', true)) \
     DELETE FROM stripe_processed_events AS e \
     USING patience, unnest($1::text[], $2::uuid[]) AS b (id, owner) \
     WHERE e.event_id = b.id AND e.owner = b.owner AND e.state = 1 AND e.fencing_token = 0";

const OWN: &str = "SELECT true FROM stripe_processed_events WHERE event_id = $1 AND owner = $2";

const OWN_PLAIN: &str =
    "SELECT true FROM stripe_processed_events WHERE event_id = $1 AND $2::uuid IS NOT NULL";

const PAGE_END: &str = "SELECT max(event_id)::text FROM (SELECT event_id FROM stripe_processed_events \
     WHERE event_id > $1 ORDER BY event_id LIMIT $2) AS page";

const DELETE_PAGE: &str = "DELETE FROM stripe_processed_events \
     WHERE event_id > $1 AND event_id <= $2 AND received_at < now() - $3 * interval '1 second' \
     AND (state <> 0 OR lease_until <= clock_timestamp())";

const DELETE_PAGE_PLAIN: &str = "DELETE FROM stripe_processed_events \
     WHERE event_id > $1 AND event_id <= $2 AND received_at < now() - $3 * interval '1 second'";

/// Written out for one table.
#[derive(Debug)]
pub struct Statements {
    /// What tells this table's events from those of other tables in the same database.
    pub(super) lock_prefix: String,
    pub(super) mark_one: Arc<str>,
    pub(super) mark: Arc<str>,
    pub(super) mark_again: Arc<str>,
    pub(super) claim_one: Arc<str>,
    pub(super) claim: Arc<str>,
    pub(super) look: Arc<str>,
    renew: [Arc<str>; 2],
    complete: [Arc<str>; 2],
    release: [Arc<str>; 2],
    withdraw: [Arc<str>; 2],
    pub(super) enter: Arc<str>,
    pub(super) unmark: Arc<str>,
    pub(super) take_over: Arc<str>,
    pub(super) own: Arc<str>,
    pub(super) page_end: Arc<str>,
    pub(super) delete_page: Arc<str>,
}

impl Statements {
    pub(super) fn new(table: &TableName, level: SchemaLevel) -> Self {
        let written = |statement| table.prepared(statement);
        // A plain table is asked for one event, and never again: it could not tell whose a row is.
        let (mark_one, look, own, delete_page) = match level {
            SchemaLevel::Full => (MARK_ONE, LOOK, OWN, DELETE_PAGE),
            SchemaLevel::Plain => (MARK_ONE_PLAIN, LOOK_PLAIN, OWN_PLAIN, DELETE_PAGE_PLAIN),
        };
        Self {
            lock_prefix: format!("ferro-idem:{table}:"),
            mark_one: written(mark_one),
            mark: written(MARK),
            mark_again: written(MARK_AGAIN),
            claim_one: written(CLAIM_ONE),
            claim: written(CLAIM),
            look: written(look),
            renew: [written(RENEW_ONE), written(RENEW)],
            complete: [written(COMPLETE_ONE), written(COMPLETE)],
            release: [written(RELEASE_ONE), written(RELEASE)],
            withdraw: [written(WITHDRAW_ONE), written(WITHDRAW)],
            enter: written(ENTER),
            unmark: written(UNMARK),
            take_over: written(TAKE_OVER),
            own: written(own),
            page_end: written(PAGE_END),
            delete_page: written(delete_page),
        }
    }

    /// For one event, and for many.
    pub(super) fn update_claims(&self, step: ClaimStep) -> &[Arc<str>; 2] {
        match step {
            ClaimStep::Renew => &self.renew,
            ClaimStep::Complete => &self.complete,
            ClaimStep::Release => &self.release,
            ClaimStep::Withdraw => &self.withdraw,
        }
    }
}
