//! Deliveries as the inbox takes them in and gives them out.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::claim::Ownership;
use crate::event::EventRef;

/// The longest order key that is stored as it is.
const MAX_ORDER_KEY_BYTES: usize = 255;

/// A verified delivery, to be stored. Cheap to clone.
#[derive(Clone, Debug)]
pub struct NewDelivery {
    pub event_id: Arc<str>,
    pub event_type: Arc<str>,
    pub order_key: Option<Arc<str>>,
    pub stored: Arc<[u8]>,
}

impl NewDelivery {
    /// `order_key`: events with the same key run one at a time, in the order of their arrival. An empty one is none.
    /// `stored` is what [`Stored::encode`](super::stored::Stored::encode) returned.
    pub fn new(event: EventRef<'_>, order_key: Option<&str>, stored: Vec<u8>) -> Self {
        Self {
            event_id: event.id().into(),
            event_type: event.recorded_type().unwrap_or_default().into(),
            order_key: order_key.filter(|key| !key.is_empty()).map(|key| storable_key(key).as_ref().into()),
            stored: stored.into(),
        }
    }

    /// The same, with keys that no other sender's delivery has: senders share the tables.
    pub(super) fn of_sender(self, sender: &Arc<str>) -> SentDelivery {
        let of_sender = |key: &str| Arc::from(format!("{sender}{BETWEEN}{key}"));
        SentDelivery {
            sender: Arc::clone(sender),
            key: of_sender(&self.event_id),
            order_key: self.order_key.as_deref().map(of_sender),
            event_type: self.event_type,
            stored: self.stored,
        }
    }
}

/// A delivery as it is sent to the database.
#[derive(Clone, Debug)]
pub struct SentDelivery {
    pub(super) sender: Arc<str>,
    /// The sender and the event's id.
    pub(super) key: Arc<str>,
    pub(super) event_type: Arc<str>,
    /// The sender and the order key.
    pub(super) order_key: Option<Arc<str>>,
    pub(super) stored: Arc<[u8]>,
}

/// Between a sender and its key.
const BETWEEN: char = ':';

/// The key without its sender.
pub(super) fn without_sender(key: &str, sender: &str) -> String {
    key.strip_prefix(sender).and_then(|key| key.strip_prefix(BETWEEN)).unwrap_or(key).to_owned()
}

/// A key that every database can hold. A longer one, or one with NUL, is replaced by its SHA-256: keys that were equal
/// or different still are.
pub(super) fn storable_key(key: &str) -> Cow<'_, str> {
    if key.len() <= MAX_ORDER_KEY_BYTES && !key.contains('\0') {
        return key.into();
    }
    format!("sha256:{}", hex::encode(Sha256::digest(key))).into()
}

/// What became of a delivery that was received. It is durable in both cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// It was stored.
    First,
    /// Its event was received before: it is waiting, running, parked or processed.
    Duplicate,
}

/// How a worker takes deliveries.
#[derive(Clone, Copy, Debug)]
pub struct TakeLimits {
    /// The most deliveries to take.
    pub events: u32,
    pub lease: Duration,
    /// A delivery that was taken so often is parked instead. At least 1.
    pub max_attempts: u32,
}

/// The deliveries that one take got.
#[derive(Debug, Default)]
pub struct TakenBatch {
    /// In the order in which they have to be started.
    pub taken: Vec<Taken>,
    /// Those that had used up their attempts: what ran them ended without saying how.
    pub parked: Vec<UsedUp>,
}

/// A delivery that a worker holds under a lease.
#[derive(Debug)]
pub struct Taken {
    pub held: Held,
    pub event_type: String,
    pub order_key: Option<String>,
    /// Which attempt this is, from 1. Counted when it was taken, so that a body that kills its process uses them up.
    pub attempts: u32,
    /// Until when the lease holds at least, on this machine's clock. Look at it before the body starts.
    pub lease_until: Instant,
    /// What [`NewDelivery::new`] was given.
    pub stored: Vec<u8>,
}

/// A delivery that was parked instead of taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedUp {
    pub event_id: String,
    pub attempts: u32,
}

/// The proof that a worker holds a delivery. All of its parts are compared, by every step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    pub seq: i64,
    pub event_id: Arc<str>,
    pub ownership: Ownership,
}

/// How many deliveries are in the inbox. A processed one is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Due, in backoff, or after another one of their order key.
    pub waiting: u64,
    pub running: u64,
    pub parked: u64,
    /// How long ago the oldest one arrived that waits or runs.
    pub oldest: Option<Duration>,
}

impl Counts {
    /// Of the number of those that wait, run and are parked, and the age of the oldest in milliseconds.
    pub(super) fn of((waiting, running, parked, oldest): (i64, i64, i64, Option<i64>)) -> Self {
        let number = |count| u64::try_from(count).unwrap_or(0);
        Self {
            waiting: number(waiting),
            running: number(running),
            parked: number(parked),
            oldest: oldest.map(|millis| Duration::from_millis(number(millis))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(key: &str) -> Option<Arc<str>> {
        NewDelivery::new(EventRef::new("evt_1").unwrap(), Some(key), Vec::new()).order_key
    }

    #[test]
    fn an_order_key_of_any_length_can_be_stored() {
        assert_eq!(key("").as_deref(), None);
        assert_eq!(key("pr:1").as_deref(), Some("pr:1"));
        assert_eq!(key(&"é".repeat(127)).as_deref(), Some(&*"é".repeat(127)));
        let long = "x".repeat(256);
        assert_eq!(key(&long), key(&long));
        assert_ne!(key(&long), key(&"x".repeat(257)));
        assert!(key(&long).unwrap().len() <= MAX_ORDER_KEY_BYTES);
        assert_ne!(key("a\0b"), key("a\0c"));
        assert!(!key("a\0b").unwrap().contains('\0'));
    }
}
