//! Whatever a log returns as a kept reply, a duplicate gets a reply or an error and no panic. What is read is kept again
//! as the same reply. And whatever a header says, it is a key that reads back the same, or it is refused.

use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use ferro_idem::replay::{IdempotencyKey, KeptReply, NewReply, ReplayLog, Replayable, Unreplayable};
use ferro_idem::{
    ClaimLog, ClaimOutcome, Error, EventRef, Owner, Ownership, async_trait, idempotent_webhook,
};

/// A log of one event, which is processed if there are bytes.
#[derive(Clone, Default)]
struct OneReply(Arc<Mutex<Option<Vec<u8>>>>);

impl OneReply {
    fn bytes(&self) -> Option<Vec<u8>> {
        self.0.lock().expect("no panic under the lock").clone()
    }
}

#[async_trait]
impl ClaimLog for OneReply {
    async fn claim(&self, _: EventRef<'_>, _: Owner, _: Duration) -> Result<ClaimOutcome, Error> {
        let is_processed = self.bytes().is_some();
        Ok(if is_processed { ClaimOutcome::Processed } else { ClaimOutcome::Acquired { token: 1 } })
    }

    async fn renew(&self, _: &str, _: Ownership, _: Duration) -> Result<bool, Error> {
        Ok(true)
    }

    async fn complete(&self, _: &str, _: Ownership) -> Result<bool, Error> {
        Ok(true)
    }

    async fn release(&self, _: &str, _: Ownership) -> Result<bool, Error> {
        Ok(true)
    }

    fn handle(&self) -> Arc<dyn ClaimLog> {
        Arc::new(self.clone())
    }
}

#[async_trait]
impl ReplayLog for OneReply {
    async fn kept_reply(&self, _: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.bytes())
    }

    async fn complete_with_reply(&self, _: &str, _: Ownership, reply: NewReply<'_>) -> Result<bool, Error> {
        *self.0.lock().expect("no panic under the lock") = Some(reply.stored.to_vec());
        Ok(true)
    }

    fn replay_handle(&self) -> Arc<dyn ReplayLog> {
        Arc::new(self.clone())
    }
}

/// A reply that is what is kept of it.
#[derive(Clone, Debug, PartialEq)]
struct Echo(KeptReply);

impl Replayable for Echo {
    fn keep(self) -> Result<(Self, KeptReply), Unreplayable> {
        let kept = self.0.clone();
        Ok((self, kept))
    }

    fn replay(kept: KeptReply) -> Result<Self, Unreplayable> {
        Ok(Self(kept))
    }
}

#[idempotent_webhook(claim, replay, event = key, processed = |_| true)]
async fn echo(log: &OneReply, key: &str, reply: Option<Echo>) -> Result<Echo, Error> {
    reply.ok_or_else(|| Error::store("run the body", "the event is processed"))
}

/// The log never waits.
fn run(log: &OneReply, reply: Option<Echo>) -> Result<Echo, Error> {
    match pin!(echo(log, "key_1", reply)).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(replied) => replied,
        Poll::Pending => panic!("the handler waits"),
    }
}

/// # Panics
///
/// If what is read is not kept as the same, or a key is not read back.
pub fn check(input: &[u8]) {
    let log = OneReply(Arc::new(Mutex::new(Some(input.to_vec()))));
    match run(&log, None) {
        Ok(read) => kept_again(input, &read),
        Err(error) => {
            let shown = format!("{error} {error:?}");
            assert!(shown.contains("ReplyUnreadable"), "{shown}");
        }
    }
    key(input);
}

fn kept_again(input: &[u8], read: &Echo) {
    let log = OneReply::default();
    match run(&log, Some(read.clone())) {
        Ok(replied) => assert_eq!(replied, *read),
        Err(error) => {
            assert!(input.len() > ferro_idem::replay::MAX_REPLY_BYTES, "{error}");
            return;
        }
    }
    // A 5xx is never stored.
    if log.bytes().is_some() {
        assert_eq!(run(&log, None).expect("it is read again"), *read);
    } else {
        assert!(read.0.status().is_some_and(|status| status >= 500), "{read:?}");
    }
}

fn key(input: &[u8]) {
    let Ok(key) = IdempotencyKey::from_header([input]) else { return };
    let text = key.as_str();
    assert!(
        (1..=255).contains(&text.len()) && text.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
        "{text:?}"
    );
    let quoted = format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    assert_eq!(quoted.parse::<IdempotencyKey>(), Ok(key.clone()), "{quoted}");
    assert_eq!(IdempotencyKey::from_header([input, input]).map_err(|_| ()), Err(()), "twice");
}
