//! An event as a log keeps it.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use crate::owner::Owner;

/// The state of an event in a log.
///
/// ```
/// use ferro_idem::operations::EventState;
///
/// assert_eq!(EventState::LeaseEnded.to_string(), "lease-ended");
/// assert_eq!("released".parse(), Ok(EventState::Released));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EventState {
    /// A delivery has the event, and its lease is running.
    Claimed,
    /// A delivery had the event, and its lease has ended: the next delivery takes the event over.
    LeaseEnded,
    /// The event is free for its next delivery.
    Released,
    /// The event is processed: further deliveries are duplicates.
    Processed,
}

impl EventState {
    /// All states, in the order in which an event goes through them.
    pub const ALL: [Self; 4] = [Self::Claimed, Self::LeaseEnded, Self::Released, Self::Processed];

    /// The name: `claimed`, `lease-ended`, `released` or `processed`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Claimed => "claimed",
            Self::LeaseEnded => "lease-ended",
            Self::Released => "released",
            Self::Processed => "processed",
        }
    }

    /// From what a store keeps: 0 claimed, 1 processed, 2 released.
    #[cfg(any(feature = "mysql", feature = "postgres", feature = "redis", feature = "sqlite"))]
    pub(crate) fn of(stored: i64, lease_left: Option<Duration>) -> Self {
        match (stored, lease_left) {
            (1, _) => Self::Processed,
            (0, Some(left)) if !left.is_zero() => Self::Claimed,
            (0, _) => Self::LeaseEnded,
            _ => Self::Released,
        }
    }

    /// What a store keeps. A lease that ends is no change of the claim.
    pub(crate) fn stored(self) -> u8 {
        match self {
            Self::Claimed | Self::LeaseEnded => 0,
            Self::Processed => 1,
            Self::Released => 2,
        }
    }
}

impl fmt::Display for EventState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl FromStr for EventState {
    type Err = UnknownState;

    fn from_str(name: &str) -> Result<Self, UnknownState> {
        Self::ALL.into_iter().find(|state| state.as_str() == name).ok_or(UnknownState)
    }
}

/// The name is not that of an [`EventState`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the state is one of claimed, lease-ended, released and processed")]
pub struct UnknownState;

/// An event as it was seen in a log.
///
/// Ids and types are chosen by senders: escape them before you show them.
///
/// A log of your own that implements [`Operations`](super::Operations) makes it with [`new`](Self::new):
///
/// ```
/// use ferro_idem::operations::{EventState, LoggedEvent};
///
/// let event = LoggedEvent::new("evt_1", EventState::Released).with_fencing_token(3);
/// assert_eq!((event.id(), event.fencing_token()), ("evt_1", 3));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedEvent {
    id: String,
    event_type: Option<String>,
    state: EventState,
    fencing_token: u64,
    owner: Option<Owner>,
    lease_left: Option<Duration>,
    received_at: Option<SystemTime>,
    updated_at: Option<SystemTime>,
    reply_until: Option<SystemTime>,
}

impl LoggedEvent {
    /// An event of which only the state is known.
    pub fn new(id: impl Into<String>, state: EventState) -> Self {
        Self {
            id: id.into(),
            event_type: None,
            state,
            fencing_token: 0,
            owner: None,
            lease_left: None,
            received_at: None,
            updated_at: None,
            reply_until: None,
        }
    }

    /// The same event with its type. An empty one counts as none.
    #[must_use]
    pub fn with_type(self, event_type: impl Into<Option<String>>) -> Self {
        Self { event_type: event_type.into().filter(|event_type| !event_type.is_empty()), ..self }
    }

    /// The same event with its fencing token.
    #[must_use]
    pub fn with_fencing_token(self, fencing_token: u64) -> Self {
        Self { fencing_token, ..self }
    }

    /// The same event with the owner of its mark or claim.
    #[must_use]
    pub fn with_owner(self, owner: impl Into<Option<Owner>>) -> Self {
        Self { owner: owner.into(), ..self }
    }

    /// The same event with the time that its lease has left.
    #[must_use]
    pub fn with_lease_left(self, lease_left: impl Into<Option<Duration>>) -> Self {
        Self { lease_left: lease_left.into(), ..self }
    }

    /// The same event with the time of its first delivery.
    #[must_use]
    pub fn with_received_at(self, received_at: impl Into<Option<SystemTime>>) -> Self {
        Self { received_at: received_at.into(), ..self }
    }

    /// The same event with the time of its last change.
    #[must_use]
    pub fn with_updated_at(self, updated_at: impl Into<Option<SystemTime>>) -> Self {
        Self { updated_at: updated_at.into(), ..self }
    }

    /// The same event with a reply that is kept until then.
    #[must_use]
    pub fn with_reply_until(self, reply_until: impl Into<Option<SystemTime>>) -> Self {
        Self { reply_until: reply_until.into(), ..self }
    }

    /// The time since it was received, or else since its last change.
    #[cfg(any(feature = "memory", feature = "redis"))]
    pub(crate) fn age(&self) -> Option<Duration> {
        let at = self.received_at.or(self.updated_at)?;
        Some(SystemTime::now().duration_since(at).unwrap_or_default())
    }

    /// The key: the sender's id, after the scope if there is one. May hold anything but NUL.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The type, if it is known. May hold anything but NUL.
    pub fn event_type(&self) -> Option<&str> {
        self.event_type.as_deref()
    }

    /// The state.
    pub fn state(&self) -> EventState {
        self.state
    }

    /// How often the event was claimed or taken over. 0 for a mark of a fence or a transaction.
    pub fn fencing_token(&self) -> u64 {
        self.fencing_token
    }

    /// Which call made the mark or claim, if the log keeps that.
    pub fn owner(&self) -> Option<Owner> {
        self.owner
    }

    /// The time that the lease has left, on the store's clock. Only a claimed event has one.
    pub fn lease_left(&self) -> Option<Duration> {
        self.lease_left
    }

    /// When the event was delivered for the first time, if the log keeps that.
    pub fn received_at(&self) -> Option<SystemTime> {
        self.received_at
    }

    /// When the event was changed last, if the log keeps that. Renewing a lease is no change.
    pub fn updated_at(&self) -> Option<SystemTime> {
        self.updated_at
    }

    /// Until when the reply of the event is returned to duplicates, if one is kept. A time that is over means that the
    /// reply is still in the store, until the next [purge](super::Operations::purge).
    pub fn reply_until(&self) -> Option<SystemTime> {
        self.reply_until
    }

    /// What a change by hand compares: state, fencing token and owner, as text for a form. It holds only ASCII letters,
    /// digits and `-`.
    ///
    /// An event whose lease has ended meanwhile, or was renewed, still has the same version.
    pub fn version(&self) -> String {
        let owner = self.owner.map(|owner| hex::encode(owner.as_bytes())).unwrap_or_default();
        let received = self.received_at.filter(|_| self.owner.is_none());
        let received = received.and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
        let received = received.map(|since| since.as_secs().to_string()).unwrap_or_default();
        format!("{}-{}-{owner}-{received}", self.state.stored(), self.fencing_token)
    }
}
