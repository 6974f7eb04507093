//! Group commit: many callers in one statement, and each as if it were alone.

mod databases;
mod dropped;
mod one_event;
mod runtimes;
mod together;
mod trouble;
