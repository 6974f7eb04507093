//! Group commit: many callers share a statement, and each gets the answer that it would get alone.

mod databases;
mod dropped;
mod one_event;
mod runtimes;
mod together;
mod trouble;
