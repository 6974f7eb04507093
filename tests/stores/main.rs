//! Behaviour of each log beyond the contract. `tests/conformance` tests the promises that all logs share.

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
