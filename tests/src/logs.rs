use async_trait::async_trait;
use ferro_idem::{Error, ProcessedEventLog};

/// A log whose store never answers.
#[derive(Debug)]
pub struct Stalled;

#[async_trait]
impl ProcessedEventLog for Stalled {
    async fn try_mark_processed(&self, _: &str) -> Result<bool, Error> {
        std::future::pending().await
    }
}

/// A log whose store cannot be reached.
#[derive(Debug)]
pub struct Broken;

#[async_trait]
impl ProcessedEventLog for Broken {
    async fn try_mark_processed(&self, _: &str) -> Result<bool, Error> {
        Err(broken())
    }
}

/// The error of [`Broken`]. Its source is a canary: it must not reach a sender.
pub fn broken() -> Error {
    Error::store("mark the event as processed", std::io::Error::other("canary: connection refused"))
}
