//! The expressions in which databases differ.

/// SQL over the columns of one row. Times are milliseconds since 1970 on the server's clock, and NULL if there is none.
///
/// Text is read and compared as bytes, without the database's ideas of text.
#[derive(Debug)]
pub struct InboxExpressions {
    pub(in crate::inbox) key: &'static str,
    pub(in crate::inbox) sender: &'static str,
    pub(in crate::inbox) event_type: &'static str,
    pub(in crate::inbox) order_key: &'static str,
    pub(in crate::inbox) last_error: &'static str,
    pub(in crate::inbox) owner: &'static str,
    pub(in crate::inbox) received: &'static str,
    /// The milliseconds until it is due. NULL if it is never due.
    pub(in crate::inbox) due_in: &'static str,
    /// The time now, as `received` counts it.
    pub(in crate::inbox) now: &'static str,
    /// Whether `last_error` contains a parameter.
    pub(in crate::inbox) error_contains: &'static str,
    /// The type of numbers in a cast.
    pub(in crate::inbox) number: &'static str,
    /// Parameters are numbered.
    pub(in crate::inbox) numbered: Option<char>,
}

#[cfg(feature = "postgres")]
pub(in crate::inbox) const POSTGRES: InboxExpressions = InboxExpressions {
    key: "convert_to(event_id, 'UTF8')",
    sender: "convert_to(sender, 'UTF8')",
    event_type: "convert_to(event_type, 'UTF8')",
    order_key: "convert_to(order_key, 'UTF8')",
    last_error: "convert_to(last_error, 'UTF8')",
    owner: "uuid_send(owner)",
    received: "CASE WHEN isfinite(received_at) THEN (EXTRACT(EPOCH FROM received_at) * 1000)::bigint END",
    due_in: "CASE WHEN isfinite(due_at) THEN (EXTRACT(EPOCH FROM due_at - clock_timestamp()) * 1000)::bigint END",
    now: "(EXTRACT(EPOCH FROM clock_timestamp()) * 1000)::bigint",
    error_contains: "position(? IN convert_to(last_error, 'UTF8')) > 0",
    number: "bigint",
    numbered: Some('$'),
};

#[cfg(feature = "mysql")]
pub(in crate::inbox) const MYSQL: InboxExpressions = InboxExpressions {
    key: "event_id",
    sender: "sender",
    event_type: "CAST(CONVERT(event_type USING utf8mb4) AS BINARY)",
    order_key: "order_key",
    last_error: "CAST(CONVERT(last_error USING utf8mb4) AS BINARY)",
    owner: "owner",
    received: "CAST(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', received_at) DIV 1000 AS SIGNED)",
    due_in: "CAST(TIMESTAMPDIFF(MICROSECOND, UTC_TIMESTAMP(6), due_at) DIV 1000 AS SIGNED)",
    now: "CAST(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000 AS SIGNED)",
    error_contains: "LOCATE(?, CAST(CONVERT(last_error USING utf8mb4) AS BINARY)) > 0",
    number: "SIGNED",
    numbered: None,
};

#[cfg(feature = "sqlite")]
pub(in crate::inbox) const SQLITE: InboxExpressions = InboxExpressions {
    key: "CAST(event_id AS BLOB)",
    sender: "CAST(sender AS BLOB)",
    event_type: "CAST(event_type AS BLOB)",
    order_key: "CAST(order_key AS BLOB)",
    last_error: "CAST(last_error AS BLOB)",
    owner: "owner",
    received: "received_at",
    due_in: "due_at - CAST(unixepoch('subsec') * 1000 AS INTEGER)",
    now: "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
    error_contains: "instr(CAST(last_error AS BLOB), ?) > 0",
    number: "INTEGER",
    numbered: Some('?'),
};
