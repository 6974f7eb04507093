//! Behaviour of each log beyond the contract. `tests/conformance` tests the promises that all logs share.

mod check;
mod created_at_once;
mod early_commits;
mod mariadb_binlog;
mod memory;
mod mysql_table;
mod mysql_traps;
mod pgbouncer;
mod pointers;
mod postgres_standby;
mod postgres_table;
mod postgres_traps;
mod proof;
mod replay;
mod replies;
mod settings;
mod sqlite_faults;
mod sqlite_purge;
mod sqlite_table;
mod sqlite_traps;
mod swallowed_updates;
mod table_names;
