//! The logs that are shipped, each on its real store.

mod fence;
mod memory;
mod sqlite_faults;
mod sqlite_purge;
mod sqlite_table;
