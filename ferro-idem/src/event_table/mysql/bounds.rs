//! How long a statement waits, and until when the server carries it out.

/// An error, 1690, if the deadline on the server's clock has passed, and a large number otherwise. The deadline is in
/// milliseconds since 1970.
///
/// The time is that of the statement's start, which the replicas of a binary log in statements have as well. How long
/// the statement waits for locks after that is limited by [`patient`].
macro_rules! in_time {
    () => {
        "~0 + (TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000 >= ?)"
    };
}
pub(super) use in_time;

/// The same statement, which waits no longer than so many seconds for the row of one event, and than a second for the
/// table.
///
/// MariaDB takes both limits (`SET STATEMENT`). Percona Server takes that for rows, of at least a second
/// (<https://docs.percona.com/percona-server/8.4/extended-set-var.html>). Each takes the other's words for a comment.
/// MySQL has no such limit, and takes both for comments: a statement whose caller gave up may be carried out after the
/// lock is released, and is then taken back.
pub(crate) fn patient(statement: &str, seconds: u8) -> String {
    let (verb, rest) = statement.split_once(' ').unwrap_or((statement, ""));
    format!(
        "/*M!100100 SET STATEMENT innodb_lock_wait_timeout={seconds}, lock_wait_timeout=1 FOR */ \
         {verb} /*+ SET_VAR(innodb_lock_wait_timeout=1) */ {rest}"
    )
}
