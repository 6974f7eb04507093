//! The store of the inbox: what workers and receivers of one database can do to each other.

#[macro_use]
mod databases;

mod basics;
mod full_disk;
mod galera;
mod keys;
mod listing;
mod lost_replies;
mod operations;
mod order;
mod put;
mod size;
mod workers;
