//! Without the attribute.

use core::time::Duration;

use ferro_idem::{ClaimLog, Error, MemoryProcessedLog, Outcome, ProcessedEventLog, SqliteLog, WebhookEvent};

pub const LEASE: Duration = Duration::from_mins(2);

pub struct Shop {
    pub log: MemoryProcessedLog,
}

impl Shop {
    pub async fn method(&self, event: String) -> Result<Outcome<usize>, Error> {
        let parsed = event.parse::<usize>().unwrap_or(0);
        std::future::ready(()).await;
        Ok(Outcome::Processed(parsed + 1))
    }
}

pub async fn generic<L, E>(log: &L, event: E) -> Result<(), Error>
where
    L: ProcessedEventLog,
    E: WebhookEvent + Send,
{
    if event.event_id() == "evt_1" {
        return Ok(());
    }
    let _ = log;
    std::future::ready(()).await;
    Ok(())
}

pub async fn every_argument(log: &MemoryProcessedLog, id: &str) -> Result<u8, String> {
    let _ = (log, id);
    std::future::ready(()).await;
    Ok(1)
}

pub fn to_text(error: Error) -> Result<u8, String> {
    Err(error.to_string())
}

pub async fn claimed(log: &MemoryProcessedLog, event: String) -> Result<Outcome<usize>, Error> {
    let parsed = event.parse::<usize>().unwrap_or(0);
    let _ = log;
    std::future::ready(()).await;
    Ok(Outcome::Processed(parsed + 1))
}

pub async fn claimed_with_every_argument<L>(log: &L, id: &str) -> Result<u8, String>
where
    L: ClaimLog,
{
    let _ = (log, id, id.len());
    std::future::ready(()).await;
    Ok(1)
}

pub async fn transacted(log: &SqliteLog, event: String) -> Result<(), Error> {
    if event.is_empty() {
        return Ok(());
    }
    let _ = (log, log.pool());
    std::future::ready(()).await;
    Ok(())
}

pub async fn claimed_with_replay(
    log: &MemoryProcessedLog,
    event: String,
    tenant: u64,
    body: Vec<u8>,
) -> Result<String, Error> {
    let _ = (log, tenant, event.len());
    std::future::ready(()).await;
    Ok(format!("{event} {}", body.len()))
}

pub async fn items_first_once(log: &MemoryProcessedLog, event: String) -> Result<(), Error> {
    use std::fmt::Write as _;
    const GREETING: &str = "hello";
    fn length(text: &str) -> usize {
        text.len()
    }
    let mut text = String::new();
    write!(text, "{GREETING} {event}").map_err(|error| Error::store("write", error))?;
    std::future::ready(length(&text)).await;
    let _ = log;
    Ok(())
}

pub async fn returns_at_the_end_once(log: &MemoryProcessedLog, event: String) -> Result<(), Error> {
    std::future::ready(event.len()).await;
    let _ = log;
    return Ok(());
}

pub async fn items_first_claimed(log: &MemoryProcessedLog, event: String) -> Result<(), Error> {
    use std::fmt::Write as _;
    const GREETING: &str = "hello";
    fn length(text: &str) -> usize {
        text.len()
    }
    let mut text = String::new();
    write!(text, "{GREETING} {event}").map_err(|error| Error::store("write", error))?;
    std::future::ready(length(&text)).await;
    let _ = log;
    Ok(())
}

pub async fn returns_at_the_end_claimed(log: &MemoryProcessedLog, event: String) -> Result<(), Error> {
    std::future::ready(event.len()).await;
    let _ = log;
    return Ok(());
}

pub async fn items_first_transacted(log: &SqliteLog, event: String) -> Result<(), Error> {
    use std::fmt::Write as _;
    const GREETING: &str = "hello";
    fn length(text: &str) -> usize {
        text.len()
    }
    let mut text = String::new();
    write!(text, "{GREETING} {event}").map_err(|error| Error::store("write", error))?;
    std::future::ready(length(&text)).await;
    let _ = (log, log.pool());
    Ok(())
}

pub async fn returns_at_the_end_transacted(log: &SqliteLog, event: String) -> Result<(), Error> {
    std::future::ready(event.len()).await;
    let _ = (log, log.pool());
    return Ok(());
}
