//! The expressions in which databases differ.

/// SQL over the columns of one row. Times are milliseconds since 1970 on the server's clock. NULL if there is none.
#[derive(Debug)]
pub struct Expressions {
    /// The key and the type as bytes, so that they are compared and read without the database's ideas of text.
    pub(super) id: &'static str,
    pub(super) event_type: &'static str,
    pub(super) state: &'static str,
    pub(super) owner: &'static str,
    pub(super) token: &'static str,
    pub(super) received: &'static str,
    pub(super) updated: &'static str,
    pub(super) lease_left: &'static str,
    pub(super) reply_until: &'static str,
    /// The time now, as `received` counts it.
    pub(super) now: &'static str,
    /// NULL as a number and as bytes.
    pub(super) no_number: &'static str,
    pub(super) no_bytes: &'static str,
    /// 1 as a number of the type that `state` has.
    pub(super) one: &'static str,
    /// A bound owner, as the column keeps it.
    pub(super) bound_owner: &'static str,
    /// The time now, as `updated_at` keeps it.
    pub(super) updated_now: &'static str,
    /// What a statement that changes a row begins with, so that it does not wait long for a lock, and what it names in
    /// its FROM or USING.
    pub(super) patience: &'static str,
    pub(super) from: &'static str,
    pub(super) using: &'static str,
    /// Before a statement, in the same message: it waits for a lock on the table for a second at most.
    #[cfg_attr(not(feature = "cli"), expect(dead_code, reason = "only the command adds columns"))]
    pub(super) brief_locks: &'static str,
    /// Parameters are numbered.
    pub(super) numbered: Option<char>,
}

#[cfg(feature = "postgres")]
pub(super) const POSTGRES: Expressions = Expressions {
    id: "convert_to(event_id::text, 'UTF8')",
    event_type: "convert_to(event_type::text, 'UTF8')",
    state: "state::bigint",
    owner: "uuid_send(owner)",
    token: "fencing_token::bigint",
    received: "CASE WHEN isfinite(received_at::timestamptz) THEN \
               (EXTRACT(EPOCH FROM received_at::timestamptz) * 1000)::bigint END",
    updated: "CASE WHEN isfinite(updated_at) THEN (EXTRACT(EPOCH FROM updated_at) * 1000)::bigint END",
    lease_left: "CASE WHEN isfinite(lease_until) THEN \
                 (EXTRACT(EPOCH FROM lease_until - clock_timestamp()) * 1000)::bigint END",
    reply_until: "CASE WHEN isfinite(reply_until) THEN (EXTRACT(EPOCH FROM reply_until) * 1000)::bigint END",
    now: "(EXTRACT(EPOCH FROM clock_timestamp()) * 1000)::bigint",
    no_number: "NULL::bigint",
    no_bytes: "NULL::bytea",
    one: "1::bigint",
    bound_owner: "encode(?, 'hex')::uuid",
    updated_now: "clock_timestamp()",
    patience: "WITH patience AS MATERIALIZED (SELECT set_config('lock_timeout', '800ms', true)) ",
    from: " FROM patience",
    using: " USING patience",
    brief_locks: "SET LOCAL lock_timeout = '1s'",
    numbered: Some('$'),
};

#[cfg(feature = "mysql")]
pub(super) const MYSQL: Expressions = Expressions {
    id: "CAST(event_id AS BINARY)",
    event_type: "CAST(CONVERT(event_type USING utf8mb4) AS BINARY)",
    state: "CAST(state AS SIGNED)",
    owner: "owner",
    token: "CAST(fencing_token AS SIGNED)",
    received: "CAST(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', received_at) DIV 1000 \
               + TIMESTAMPDIFF(SECOND, CURRENT_TIMESTAMP, UTC_TIMESTAMP) * 1000 AS SIGNED)",
    updated: "CAST(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', updated_at) DIV 1000 \
              + TIMESTAMPDIFF(SECOND, CURRENT_TIMESTAMP, UTC_TIMESTAMP) * 1000 AS SIGNED)",
    lease_left: "CAST(TIMESTAMPDIFF(MICROSECOND, UTC_TIMESTAMP(6), lease_until) DIV 1000 AS SIGNED)",
    reply_until: "CAST(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', reply_until) DIV 1000 AS SIGNED)",
    now: "CAST(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000 AS SIGNED)",
    no_number: "CAST(NULL AS SIGNED)",
    no_bytes: "CAST(NULL AS BINARY)",
    one: "CAST(1 AS SIGNED)",
    bound_owner: "?",
    updated_now: "CURRENT_TIMESTAMP",
    patience: "/*M!100100 SET STATEMENT innodb_lock_wait_timeout=1, lock_wait_timeout=1 FOR */ ",
    from: "",
    using: "",
    brief_locks: "SET lock_wait_timeout = 1",
    numbered: None,
};

#[cfg(feature = "sqlite")]
pub(super) const SQLITE: Expressions = Expressions {
    id: "CAST(event_id AS BLOB)",
    event_type: "CAST(event_type AS BLOB)",
    state: "CAST(state AS INTEGER)",
    owner: "owner",
    token: "CAST(fencing_token AS INTEGER)",
    received: "CAST(({received}) * 1000 AS INTEGER)",
    updated: "unixepoch(updated_at) * 1000",
    lease_left: "lease_until - CAST(unixepoch('subsec') * 1000 AS INTEGER)",
    reply_until: "CAST(reply_until AS INTEGER)",
    now: "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
    no_number: "CAST(NULL AS INTEGER)",
    no_bytes: "CAST(NULL AS BLOB)",
    one: "1",
    bound_owner: "?",
    updated_now: "CURRENT_TIMESTAMP",
    patience: "",
    from: "",
    using: "",
    brief_locks: "SELECT 1",
    numbered: Some('?'),
};
