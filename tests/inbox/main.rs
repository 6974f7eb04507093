//! The store of the inbox: what workers and receivers of one database can do to each other.

#[macro_use]
mod databases;

mod basics;
mod keys;
mod listing;
mod operations;
mod order;
mod put;
mod size;
mod workers;
