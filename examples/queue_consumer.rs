//! A consumer of a queue. The attribute needs no framework and no HTTP: a message is acknowledged if the reply means
//! "processed", and goes back into the queue if not.
//!
//! ```text
//! cargo run --example queue_consumer
//! ```
//!
//! The queue of this example delivers each message twice, and each third body fails at its first attempt. It ends with 0
//! if every message took effect once.

use std::collections::{BTreeMap, VecDeque};
use std::process::ExitCode;
use std::time::Duration;

use ferro_idem::{Error, MemoryProcessedLog, WebhookEvent, idempotent_webhook};

const MESSAGES: usize = 30;

#[derive(Clone)]
struct Message {
    id: String,
    number: usize,
}

impl WebhookEvent for Message {
    fn event_id(&self) -> &str {
        &self.id
    }

    fn event_type(&self) -> Option<&str> {
        Some("order.placed")
    }
}

#[derive(Default)]
struct Consumer {
    /// In production: a log in your database.
    log: MemoryProcessedLog,
    effects: BTreeMap<usize, usize>,
    attempts: BTreeMap<usize, usize>,
}

#[derive(Debug, thiserror::Error)]
enum ConsumerError {
    #[error(transparent)]
    Event(#[from] Error),
    #[error("failed on purpose")]
    OnPurpose,
}

impl Consumer {
    /// Takes the message by reference: it goes back into the queue after a failure.
    #[idempotent_webhook(log = self.log, event = message, claim)]
    async fn on_message(&mut self, message: &Message) -> Result<(), ConsumerError> {
        let attempt = self.attempts.entry(message.number).or_default();
        *attempt += 1;
        if message.number.is_multiple_of(3) && *attempt == 1 {
            return Err(ConsumerError::OnPurpose);
        }
        *self.effects.entry(message.number).or_default() += 1;
        Ok(())
    }
}

/// How a consumer treats each outcome. A real queue has a call for each of these.
async fn consume(consumer: &mut Consumer, queue: &mut VecDeque<Message>) -> usize {
    let mut failures = 0;
    while let Some(message) = queue.pop_front() {
        match consumer.on_message(&message).await {
            // Processed now or before: acknowledge.
            Ok(()) => {}
            // It can never be processed: to the dead letters. There are none here.
            Err(ConsumerError::Event(error)) if !error.is_retryable() => eprintln!("parked: {error}"),
            Err(error) => {
                // As long as the lease of a consumer that has the message, or at once.
                let wait = match &error {
                    ConsumerError::Event(error) => error.retry_after().unwrap_or_default(),
                    ConsumerError::OnPurpose => Duration::ZERO,
                };
                tokio::time::sleep(wait).await;
                failures += 1;
                queue.push_back(message);
            }
        }
    }
    failures
}

async fn story() -> bool {
    let messages = (0..MESSAGES).map(|number| Message { id: format!("msg_{number}"), number });
    let mut queue: VecDeque<Message> = messages.clone().chain(messages).collect();
    let mut consumer = Consumer::default();
    let failures = consume(&mut consumer, &mut queue).await;
    let effects: usize = consumer.effects.values().sum();
    println!("{} deliveries, {failures} failures, {effects} effects", 2 * MESSAGES + failures);
    let went_well = consumer.effects.len() == MESSAGES && effects == MESSAGES;
    println!("{}", if went_well { "nothing was lost, nothing was doubled" } else { "WRONG" });
    went_well
}

#[tokio::main]
async fn main() -> ExitCode {
    if story().await { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(test)]
#[tokio::test]
async fn every_message_takes_effect_once() {
    assert!(story().await);
}
