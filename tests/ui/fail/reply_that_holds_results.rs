//! A failure in a list is a failure, too: a reply that may hold one says when the event is processed.

use std::collections::HashMap;
use std::ops::ControlFlow;

use ferro_idem::{Error, MemoryProcessedLog, idempotent_webhook};

#[idempotent_webhook(claim, on_duplicate = Ok(Vec::new()))]
async fn list(log: &MemoryProcessedLog, event: &str) -> Result<Vec<Result<u8, String>>, Error> {
    Ok(vec![Err("the bank is closed".to_owned())])
}

#[idempotent_webhook(claim, on_duplicate = Ok(HashMap::new()))]
async fn map(log: &MemoryProcessedLog, event: &str) -> Result<HashMap<u8, Result<u8, String>>, Error> {
    Ok(HashMap::new())
}

#[idempotent_webhook(claim, on_duplicate = Ok(ControlFlow::Continue(())))]
async fn flow(log: &MemoryProcessedLog, event: &str) -> Result<ControlFlow<String>, Error> {
    Ok(ControlFlow::Break("the bank is closed".to_owned()))
}

fn main() {}
