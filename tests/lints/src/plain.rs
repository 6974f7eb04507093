//! Without the attribute.

use ferro_idem::{Error, MemoryProcessedLog, Outcome, ProcessedEventLog, WebhookEvent};

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
