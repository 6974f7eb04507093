//! PostgreSQL's statements. They take arrays, so that one statement serves one event or many.
//!
//! Times are `clock_timestamp()`: `now()` stands still while a statement waits for a lock, and a lease
//! would come out short.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

pub(crate) use super::bounds::bounded;
use super::replies::{self, ReplyStatements};
use crate::event_table::columns::{SchemaLevel, Traps};
use crate::event_table::event_state::ClaimStep;
use crate::event_table::name::TableName;
use crate::server_clock::ServerClock;

pub(crate) const SCHEMA: &str = include_str!("../../sql/postgres/schema.sql").trim_ascii_end();

/// The defaults are constants for the statement, so that no row is rewritten
/// (<https://www.postgresql.org/docs/current/ddl-alter.html#DDL-ALTER-ADDING-A-COLUMN>).
pub(crate) const UPGRADE: &str = include_str!("../../sql/postgres/upgrade.sql").trim_ascii_end();

/// For one event, the first time that it is sent. The server plans it once. Statements that take arrays are planned
/// each time, because the server cannot know how long they are.
const MARK_ONE: &str = "\
WITH {bounds of one}
INSERT INTO stripe_processed_events (event_id, event_type, owner)
SELECT $2, $3, $4::uuid FROM bounds
ON CONFLICT (event_id) DO NOTHING";

const MARK_ONE_PLAIN: &str = "\
WITH {bounds of one}
INSERT INTO stripe_processed_events (event_id, event_type)
SELECT $2, $3 FROM bounds WHERE $4::uuid IS NOT NULL
ON CONFLICT (event_id) DO NOTHING";

/// In a transaction. Its connection takes the transaction along if it is given up, so it needs no deadline.
/// Tries the event's lock, and marks the event if it is granted. A row that was committed after this statement began is
/// found all the same, because `ON CONFLICT` looks at the index.
const MARK_IN: &str = "\
WITH entered AS MATERIALIZED (
  SELECT pg_try_advisory_xact_lock(
    hashtextextended('ferro-idem:' || $1::text, 'stripe_processed_events'::regclass::oid::bigint)
  ) AS is_granted
),
marked AS (
  INSERT INTO stripe_processed_events (event_id, event_type, owner)
  SELECT $1, $2, $3::uuid FROM entered WHERE is_granted
  ON CONFLICT (event_id) DO NOTHING
  RETURNING 1
)
SELECT is_granted, EXISTS (SELECT FROM marked) FROM entered";

const MARK_IN_PLAIN: &str = "\
WITH entered AS MATERIALIZED (
  SELECT pg_try_advisory_xact_lock(
    hashtextextended('ferro-idem:' || $1::text, 'stripe_processed_events'::regclass::oid::bigint)
  ) AS is_granted
),
marked AS (
  INSERT INTO stripe_processed_events (event_id, event_type)
  SELECT $1, $2 FROM entered WHERE is_granted AND $3::uuid IS NOT NULL
  ON CONFLICT (event_id) DO NOTHING
  RETURNING 1
)
SELECT is_granted, EXISTS (SELECT FROM marked) FROM entered";

const MARK: &str = "\
WITH {bounds of many}
INSERT INTO stripe_processed_events (event_id, event_type, owner)
SELECT id, type, owner
FROM bounds, unnest($2::text[], $3::text[], $4::uuid[]) AS b (id, type, owner)
ON CONFLICT (event_id) DO NOTHING
RETURNING event_id::text";

/// Returns rows that an earlier attempt made as well, by their owner.
const MARK_AGAIN: &str = "\
WITH {bounds of many}
INSERT INTO stripe_processed_events AS e (event_id, event_type, owner)
SELECT id, type, owner
FROM bounds, unnest($2::text[], $3::text[], $4::uuid[]) AS b (id, type, owner)
ON CONFLICT (event_id) DO UPDATE SET owner = e.owner WHERE e.owner = EXCLUDED.owner
RETURNING e.event_id::text";

/// An event that was processed before the statement began stays processed. It is returned with the fencing token 0,
/// which no claim has, so that a duplicate needs no second statement. Its row is not locked, because that would cost a
/// sync; the bounds are read with it, so that a duplicate waits for the standby.
///
/// With the replies of these events, if a claim asks for them.
///
/// The limit keeps the look a loop over the index: with `= ANY`, the server reads all of a small table. What is claimed
/// is sorted, so that two statements never wait for each other: a join may change the order.
///
/// `EXCLUDED.updated_at` is the time that `EXCLUDED.lease_until` was counted from.
const CLAIM: &str = "\
WITH {bounds of many},
seen AS MATERIALIZED (
  SELECT b.id{reply}
  FROM bounds, unnest($2::text[]) AS b (id), LATERAL (
    SELECT{kept reply} FROM stripe_processed_events WHERE event_id = b.id AND state = 1 LIMIT 1
  ) AS e
),
claimed AS (
  INSERT INTO stripe_processed_events AS e
    (event_id, event_type, state, owner, fencing_token, lease_until, updated_at)
  SELECT id, type, 0, owner, 1, at + lease * interval '1 millisecond', at
  FROM bounds,
    unnest($2::text[], $3::text[], $4::uuid[], $5::bigint[]) AS b (id, type, owner, lease),
    (SELECT clock_timestamp() AS at) AS clock
  WHERE NOT EXISTS (SELECT FROM seen WHERE seen.id = b.id)
  ORDER BY b.id COLLATE \"C\"
  ON CONFLICT (event_id) DO UPDATE SET
    state = 0,
    owner = EXCLUDED.owner,
    fencing_token = e.fencing_token + (e.owner IS DISTINCT FROM EXCLUDED.owner)::int,
    lease_until = clock_timestamp() + (EXCLUDED.lease_until - EXCLUDED.updated_at),
    updated_at = clock_timestamp()
  WHERE e.state <> 1
    AND (e.owner = EXCLUDED.owner OR e.state = 2 OR e.lease_until IS NULL OR e.lease_until <= clock_timestamp())
  RETURNING e.event_id::text AS id, e.fencing_token
)
SELECT id, fencing_token{no reply} FROM claimed
UNION ALL
SELECT id, 0::bigint{reply} FROM seen";

/// As [`CLAIM`], for one event.
const CLAIM_ONE: &str = "\
WITH {bounds of one},
seen AS MATERIALIZED (
  SELECT{kept reply} FROM bounds, stripe_processed_events WHERE event_id = $2 AND state = 1
),
claimed AS (
  INSERT INTO stripe_processed_events AS e (event_id, event_type, state, owner, fencing_token, lease_until)
  SELECT $2, $3, 0, $4::uuid, 1, clock_timestamp() + $5 * interval '1 millisecond'
  FROM bounds
  WHERE NOT EXISTS (SELECT FROM seen)
  ON CONFLICT (event_id) DO UPDATE SET
    state = 0,
    owner = EXCLUDED.owner,
    fencing_token = e.fencing_token + (e.owner IS DISTINCT FROM EXCLUDED.owner)::int,
    lease_until = clock_timestamp() + $5 * interval '1 millisecond',
    updated_at = clock_timestamp()
  WHERE e.state <> 1
    AND (e.owner = EXCLUDED.owner OR e.state = 2 OR e.lease_until IS NULL OR e.lease_until <= clock_timestamp())
  RETURNING fencing_token
)
SELECT fencing_token{no reply} FROM claimed
UNION ALL
SELECT 0::bigint{reply} FROM seen";

const LOOK: &str = "\
WITH durable AS MATERIALIZED (SELECT {durable}{planned anew by ids})
SELECT event_id::text, state::bigint, (EXTRACT(EPOCH FROM lease_until - clock_timestamp()) * 1000)::bigint, durable IS NOT NULL
FROM durable, stripe_processed_events
WHERE event_id = ANY($1::text[])";

const OWNERS: &str = "\
WITH durable AS MATERIALIZED (SELECT {durable})
SELECT event_id::text, owner FROM durable, stripe_processed_events WHERE event_id = ANY($1::text[])";

const OWNERS_PLAIN: &str = "\
WITH durable AS MATERIALIZED (SELECT {durable})
SELECT event_id::text, NULL::uuid FROM durable, stripe_processed_events WHERE event_id = ANY($1::text[])";

/// The state of a claim's row, if the claim still has it.
const HELD: &str = "\
SELECT state::bigint FROM stripe_processed_events WHERE event_id = $1 AND owner = $2 AND fencing_token = $3";

/// Every row of a plain table is processed.
const LOOK_PLAIN: &str = "\
WITH durable AS MATERIALIZED (SELECT {durable}{planned anew by ids})
SELECT event_id::text, 1::bigint, NULL::bigint, durable IS NOT NULL
FROM durable, stripe_processed_events
WHERE event_id = ANY($1::text[])";

const RENEW: &str = "\
WITH {bounds of many}
UPDATE stripe_processed_events AS e
SET lease_until = clock_timestamp() + b.lease * interval '1 millisecond'
FROM bounds, unnest($2::text[], $3::uuid[], $4::bigint[], $5::bigint[]) AS b (id, owner, fencing_token, lease)
WHERE is_in_time = 1
  AND e.event_id = b.id AND e.owner = b.owner AND e.fencing_token = b.fencing_token AND e.state = 0
RETURNING e.event_id::text";

const COMPLETE: &str = "\
WITH {bounds of many}
UPDATE stripe_processed_events AS e
SET state = 1, lease_until = NULL, updated_at = clock_timestamp()
FROM bounds, unnest($2::text[], $3::uuid[], $4::bigint[]) AS b (id, owner, fencing_token)
WHERE is_in_time = 1
  AND e.event_id = b.id AND e.owner = b.owner AND e.fencing_token = b.fencing_token AND e.state IN (0, 1)
RETURNING e.event_id::text";

const RELEASE: &str = "\
WITH {bounds of many}
UPDATE stripe_processed_events AS e
SET state = 2, lease_until = NULL, updated_at = clock_timestamp()
FROM bounds, unnest($2::text[], $3::uuid[], $4::bigint[]) AS b (id, owner, fencing_token)
WHERE is_in_time = 1
  AND e.event_id = b.id AND e.owner = b.owner AND e.fencing_token = b.fencing_token AND e.state IN (0, 2)
RETURNING e.event_id::text";

/// As if the claim had never been made: the next one gets the same token.
const WITHDRAW: &str = "\
WITH {bounds of many}
UPDATE stripe_processed_events AS e
SET state = 2, owner = NULL, fencing_token = e.fencing_token - 1, lease_until = NULL, updated_at = clock_timestamp()
FROM bounds, unnest($2::text[], $3::uuid[], $4::bigint[]) AS b (id, owner, fencing_token)
WHERE is_in_time = 1
  AND e.event_id = b.id AND e.owner = b.owner AND e.fencing_token = b.fencing_token AND e.state = 0
RETURNING e.event_id::text";

const WITHDRAW_ONE: &str = "\
WITH {bounds of one}
UPDATE stripe_processed_events
SET state = 2, owner = NULL, fencing_token = fencing_token - 1, lease_until = NULL, updated_at = clock_timestamp()
FROM bounds
WHERE is_in_time = 1 AND event_id = $2 AND owner = $3 AND fencing_token = $4 AND state = 0";

const RENEW_ONE: &str = "\
WITH {bounds of one}
UPDATE stripe_processed_events
SET lease_until = clock_timestamp() + $5 * interval '1 millisecond'
FROM bounds
WHERE is_in_time = 1 AND event_id = $2 AND owner = $3 AND fencing_token = $4 AND state = 0";

const COMPLETE_ONE: &str = "\
WITH {bounds of one}
UPDATE stripe_processed_events
SET state = 1, lease_until = NULL, updated_at = clock_timestamp()
FROM bounds
WHERE is_in_time = 1 AND event_id = $2 AND owner = $3 AND fencing_token = $4 AND state IN (0, 1)";

const RELEASE_ONE: &str = "\
WITH {bounds of one}
UPDATE stripe_processed_events
SET state = 2, lease_until = NULL, updated_at = clock_timestamp()
FROM bounds
WHERE is_in_time = 1 AND event_id = $2 AND owner = $3 AND fencing_token = $4 AND state IN (0, 2)";

/// Not granted if another transaction has it, instead of waiting for that one's handler. The lock ends
/// with the transaction. Two events may share a number: the second one is then told to come again.
///
/// The table's oid tells its events from those of the other tables in the database, in whatever schema.
const TAKE_OVER: &str = "\
UPDATE stripe_processed_events
SET state = 1, owner = $2, fencing_token = fencing_token + 1, lease_until = NULL, updated_at = clock_timestamp()
WHERE event_id = $1 AND state <> 1 AND (state = 2 OR lease_until IS NULL OR lease_until <= clock_timestamp())";

/// Deletes marks only: a claim or a transaction has the event otherwise. Carried out late, it does no harm.
const UNMARK: &str = "\
WITH patience AS MATERIALIZED (SELECT set_config('lock_timeout', '250ms', true))
DELETE FROM stripe_processed_events AS e
USING patience, unnest($1::text[], $2::uuid[]) AS b (id, owner)
WHERE e.event_id = b.id AND e.owner = b.owner AND e.state = 1 AND e.fencing_token = 0";

const GIVE_BACK: &str = "\
UPDATE stripe_processed_events SET state = 2, updated_at = clock_timestamp()
WHERE event_id = $1 AND owner = $2 AND state = 1";

/// Whether the row was written by the transaction that this statement is in. `txid_current` counts on where a row's
/// 32 bits begin again.
const OWN: &str = "\
SELECT xmin::text = (txid_current() % 4294967296)::text
FROM stripe_processed_events WHERE event_id = $1 AND owner = $2";

const OWN_PLAIN: &str = "\
SELECT xmin::text = (txid_current() % 4294967296)::text
FROM stripe_processed_events WHERE event_id = $1 AND $2::uuid IS NOT NULL";

const PAGE_END: &str = "\
SELECT max(event_id)::text
FROM (SELECT event_id FROM stripe_processed_events WHERE event_id > $1 ORDER BY event_id LIMIT $2) AS page";

const DELETE_PAGE: &str = "\
DELETE FROM stripe_processed_events
WHERE event_id > $1 AND event_id <= $2 AND received_at < now() - $3 * interval '1 second'
  AND (state <> 0 OR lease_until <= clock_timestamp())";

const DELETE_PAGE_PLAIN: &str = "\
DELETE FROM stripe_processed_events
WHERE event_id > $1 AND event_id <= $2 AND received_at < now() - $3 * interval '1 second'";

/// Written out for one table.
#[derive(Debug)]
pub struct Statements {
    /// See [`Traps`](crate::sql::columns::Traps).
    pub(crate) verifies: bool,
    /// Whether the server keeps prepared statements from one request to the next.
    pub(crate) persists: bool,
    /// Whether the last look wrote a message, so that its transaction waits for a standby when it commits.
    pub(crate) has_standby: AtomicBool,
    pub(crate) replies: ReplyStatements,
    pub(crate) owners: Arc<str>,
    pub(crate) held: Arc<str>,
    /// What the server's clock showed last.
    pub(crate) clock: ServerClock,
    pub(crate) mark_one: Arc<str>,
    pub(crate) mark_in: Arc<str>,
    pub(crate) mark: Arc<str>,
    pub(crate) mark_again: Arc<str>,
    claim: [Arc<str>; 2],
    pub(crate) look: Arc<str>,
    renew: [Arc<str>; 2],
    complete: [Arc<str>; 2],
    release: [Arc<str>; 2],
    withdraw: [Arc<str>; 2],
    pub(crate) unmark: Arc<str>,
    pub(crate) take_over: Arc<str>,
    pub(crate) own: Arc<str>,
    pub(crate) give_back: Arc<str>,
    pub(crate) page_end: Arc<str>,
    pub(crate) delete_page: Arc<str>,
}

impl Statements {
    pub(crate) fn new(table: &TableName, level: SchemaLevel, traps: &Traps) -> Self {
        let written = |statement: &str| table.prepared(&bounded(statement));
        // A plain table is sent marks of one event, and never a retry: it could not tell whose a row is.
        let (mark_one, mark_in, look, owners, own, delete_page) = match level {
            SchemaLevel::Full => (MARK_ONE, MARK_IN, LOOK, OWNERS, OWN, DELETE_PAGE),
            SchemaLevel::Plain => {
                (MARK_ONE_PLAIN, MARK_IN_PLAIN, LOOK_PLAIN, OWNERS_PLAIN, OWN_PLAIN, DELETE_PAGE_PLAIN)
            }
        };
        Self {
            verifies: traps.verifies,
            persists: !traps.has_pooler,
            has_standby: AtomicBool::new(false),
            replies: ReplyStatements::new(table, [CLAIM_ONE, CLAIM], traps),
            owners: written(owners),
            held: written(HELD),
            clock: ServerClock::default(),
            mark_one: written(mark_one),
            mark_in: written(mark_in),
            mark: written(MARK),
            mark_again: written(MARK_AGAIN),
            claim: [CLAIM_ONE, CLAIM].map(|claim| written(&replies::unread(claim))),
            look: written(look),
            renew: [written(RENEW_ONE), written(RENEW)],
            complete: [written(COMPLETE_ONE), written(COMPLETE)],
            release: [written(RELEASE_ONE), written(RELEASE)],
            withdraw: [written(WITHDRAW_ONE), written(WITHDRAW)],
            unmark: written(UNMARK),
            take_over: written(TAKE_OVER),
            own: written(own),
            give_back: written(GIVE_BACK),
            page_end: written(PAGE_END),
            delete_page: written(delete_page),
        }
    }

    /// For one event, and for many.
    pub(crate) fn claims(&self, reads_replies: bool) -> &[Arc<str>; 2] {
        if reads_replies { &self.replies.claim } else { &self.claim }
    }

    /// For one event, and for many.
    pub(crate) fn update_claims(&self, step: ClaimStep) -> &[Arc<str>; 2] {
        match step {
            ClaimStep::Renew => &self.renew,
            ClaimStep::Complete => &self.complete,
            ClaimStep::CompleteWithReply => &self.replies.complete,
            ClaimStep::Release => &self.release,
            ClaimStep::Withdraw => &self.withdraw,
        }
    }
}
