//! What the error numbers of MySQL and MariaDB mean
//! (<https://mariadb.com/docs/server/reference/error-codes/mariadb-error-code-reference>,
//! <https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html>).

use super::statements::SCHEMA;
use crate::event_table::fault::Fault;
use crate::event_table::name::TableName;

pub(crate) const DUPLICATE_ENTRY: u16 = 1062;
pub(crate) const LOCK_WAIT_TIMEOUT: u16 = 1205;
/// "SAVEPOINT does not exist": its transaction has ended.
pub(crate) const NO_SAVEPOINT: u16 = 1305;
/// "Value is out of range": what a statement fails with after its deadline.
pub(crate) const TOO_LATE: u16 = 1690;

/// The meaning of an error's number.
pub(crate) fn explain(number: Option<u16>, table: &TableName) -> Fault {
    match number {
        Some(LOCK_WAIT_TIMEOUT) => Fault::locked(),
        Some(TOO_LATE) => Fault::too_late(),
        // KILL QUERY, MariaDB's and MySQL's time limit for statements.
        Some(1317 | 1969 | 3024) => Fault::cancelled(),
        // Deadlock; the row changed under `innodb_snapshot_isolation`.
        Some(1213 | 1020) => Fault::passing(
            "another transaction was in the way: shorten the application's own transactions on these rows",
        ),
        // The table's definition changed under the transaction; the statement was prepared before.
        Some(1412 | 1615) => Fault::passing("the table was changed while the application ran"),
        // Shutdown in progress, connection killed.
        Some(1053 | 1927) => {
            Fault::unanswered("the server is shutting down, or ended the connection: see its log")
        }
        Some(1040 | 1203) => Fault::passing(
            "the server has no connection left: lower the pools' `max_connections`, or raise the server's",
        ),
        Some(1021 | 1114) => {
            Fault::permanent("the server's disk is full: make room, and the next delivery goes through")
        }
        // "WSREP has not yet prepared node for application use": a node of a Galera cluster outside of its primary
        // component (<https://mariadb.com/docs/reference/mdb/status-variables/wsrep_cluster_status/>).
        Some(1047) => Fault::no_member(),
        // "Got error .. during COMMIT": a node that left its cluster in the middle of a commit does not know whether
        // the others have it.
        Some(1180) => Fault::unanswered(
            "the server does not say whether the commit was done: see its log, and that it is a member of its cluster",
        ),
        // --read-only, a transaction of a session that is read-only, read-only mode.
        Some(1290 | 1792 | 1836) => Fault::read_only(),
        Some(1045) => {
            Fault::permanent("the server refused the user or the password: check the pool's options")
        }
        Some(1044) => Fault::no_rights(
            "the database user may not use this database: check the pool's options, or GRANT it the rights"
                .to_owned(),
        ),
        Some(1049) => {
            Fault::permanent("there is no such database: create it, or name another one in the URL")
        }
        Some(1142 | 1143) => Fault::no_rights(format!(
            "the database user may not use the table: GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO it"
        )),
        Some(1054 | 1146) => Fault::of_missing(table, SCHEMA),
        // Truncated or out of range, no default, NOT NULL, CHECK, foreign key.
        Some(1264 | 1265 | 1364 | 1366 | 1048 | 1406 | 1452 | 3819 | 4025) => Fault::refused_values(),
        _ => Fault::unknown("MySQL"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retry::FaultKind::{Passing, Permanent, Unanswered};

    #[test]
    fn each_number_of_mysql_says_what_to_do() {
        for (numbers, kind, is_about_one_event, words) in [
            (&[LOCK_WAIT_TIMEOUT][..], Passing, true, "holds the event for long"),
            (&[TOO_LATE], Passing, false, "waited for longer than its caller"),
            (&[1317, 1969, 3024], Passing, true, "was cancelled"),
            (&[1213, 1020], Passing, false, "another transaction was in the way"),
            (&[1412, 1615], Passing, false, "the table was changed"),
            (&[1053, 1927], Unanswered, false, "ended the connection"),
            (&[1040, 1203], Passing, false, "no connection left"),
            (&[1021, 1114], Permanent, false, "disk is full"),
            (&[1047], Passing, false, "no member of its cluster"),
            (&[1180], Unanswered, false, "does not say whether the commit was done"),
            (&[1290, 1792, 1836], Passing, false, "read-only"),
            (&[1044], Permanent, false, "may not use this database"),
            (&[1045], Permanent, false, "the user or the password"),
            (&[1049], Permanent, false, "no such database"),
            (&[1142, 1143], Permanent, false, "GRANT SELECT"),
            (&[1054, 1146], Permanent, false, "CREATE TABLE"),
            (
                &[1264, 1265, 1364, 1366, 1048, 1406, 1452, 3819, 4025],
                Permanent,
                true,
                "does not take the event",
            ),
            (&[DUPLICATE_ENTRY, 1], Permanent, true, "MySQL refused the statement"),
        ] {
            for &number in numbers {
                let fault = explain(Some(number), &TableName::recommended('`'));
                assert_eq!((fault.kind, fault.is_about_one_event), (kind, is_about_one_event), "{number}");
                assert!(fault.advice.contains(words), "{number}: {}", fault.advice);
            }
        }
        assert!(explain(None, &TableName::recommended('`')).advice.contains("MySQL refused the statement"));
    }
}
