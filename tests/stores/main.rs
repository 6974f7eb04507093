//! What a shipped log does beyond the contract: `tests/conformance` proves what all of them promise.

mod check;
mod created_at_once;
mod memory;
mod mysql_table;
mod mysql_traps;
mod pointers;
mod postgres_table;
mod postgres_traps;
mod proof;
mod sqlite_faults;
mod sqlite_purge;
mod sqlite_table;
mod sqlite_traps;
mod table_names;
