//! What SQLite's result codes mean (<https://www.sqlite.org/rescode.html>).

use super::statements::SCHEMA;
use crate::event_table::fault::Fault;
use crate::event_table::name::TableName;

const BUSY_RECOVERY: u32 = 5 | (1 << 8);
const BUSY_SNAPSHOT: u32 = 5 | (2 << 8);
const CONSTRAINT_PRIMARY_KEY: u32 = 0x13 | (6 << 8);
const CONSTRAINT_UNIQUE: u32 = 0x13 | (8 << 8);

pub(crate) fn explain(code: &str, table: &TableName) -> Fault {
    let Some((code, extended)) = code_of(code) else { return Fault::unknown("SQLite") };
    match code {
        1 => Fault::of_missing(table, SCHEMA),
        // These do not wait for the busy timeout.
        5 if matches!(extended, BUSY_RECOVERY | BUSY_SNAPSHOT) => {
            Fault::passing("another connection wrote in between, the transaction has to begin again")
        }
        5 | 6 => Fault::permanent(
            "another connection holds the write lock for longer than the busy timeout: shorten its \
             transaction, or raise `busy_timeout`",
        ),
        8 => Fault::permanent(
            "the database is read-only: let this process write to the file and to the folder around it, \
             where SQLite keeps its log. Or the connection is, by `PRAGMA query_only` or `mode=ro`",
        ),
        11 => Fault::permanent("the database file is damaged: restore it from a backup"),
        13 => Fault::permanent("the disk is full: make room, and the next delivery goes through"),
        14 => Fault::permanent(
            "the file cannot be opened: the folder has to exist, and this process has to be allowed to \
             write there",
        ),
        // Another UNIQUE key: a conflict of the event's own id is no error.
        19 if matches!(extended, CONSTRAINT_PRIMARY_KEY | CONSTRAINT_UNIQUE) => Fault::swallowed(),
        // Too big, constraint, datatype mismatch.
        18..=20 => Fault::refused_values(),
        26 => Fault::permanent("the file is not a SQLite database: name another one, it was left untouched"),
        _ => Fault::unknown("SQLite"),
    }
}

/// The primary code and the extended one, which keeps the primary one in its low byte.
pub(crate) fn code_of(code: &str) -> Option<(u32, u32)> {
    let extended = code.parse::<u32>().ok()?;
    Some((extended & 0xff, extended))
}
