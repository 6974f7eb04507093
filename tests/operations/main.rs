//! What an operator does with a log by hand: the same cases on every log.

mod bounds;
mod browser;
mod cases;
mod command;
mod console;
mod console_inbox;
mod inbox_command;
mod plain;
mod stores;
mod tls;
