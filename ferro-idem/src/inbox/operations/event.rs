//! An event as an inbox keeps it.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use crate::owner::Owner;

/// The state of an event in an inbox.
///
/// ```
/// use ferro_idem::inbox::operations::InboxState;
///
/// assert_eq!(InboxState::BackingOff.to_string(), "backing-off");
/// assert_eq!("parked".parse(), Ok(InboxState::Parked));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum InboxState {
    /// It is due, and no worker has taken it yet; or it waits for another event of its order key.
    Waiting,
    /// Its last attempt failed, and the next one is due later.
    BackingOff,
    /// A worker has it, and its lease is running.
    Running,
    /// A worker had it, and its lease has ended: the next worker takes it over.
    LeaseEnded,
    /// It is kept and not delivered, until somebody replays or discards it.
    Parked,
    /// It is processed, or was discarded. Its body is deleted and its key is kept.
    Processed,
}

impl InboxState {
    /// All states.
    pub const ALL: [Self; 6] =
        [Self::Waiting, Self::BackingOff, Self::Running, Self::LeaseEnded, Self::Parked, Self::Processed];

    /// The states of events that are not processed. They are counted and listed without being asked for.
    pub const UNFINISHED: [Self; 5] =
        [Self::Waiting, Self::BackingOff, Self::Running, Self::LeaseEnded, Self::Parked];

    /// The name: `waiting`, `backing-off`, `running`, `lease-ended`, `parked` or `processed`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::BackingOff => "backing-off",
            Self::Running => "running",
            Self::LeaseEnded => "lease-ended",
            Self::Parked => "parked",
            Self::Processed => "processed",
        }
    }

    /// From what the table keeps, and the milliseconds until it is due.
    pub(super) fn of(stored: i64, due_in: Option<i64>) -> Self {
        match (stored, due_in) {
            (0, Some(1..)) => Self::BackingOff,
            (1, Some(1..)) => Self::Running,
            (1, _) => Self::LeaseEnded,
            (2, _) => Self::Parked,
            _ => Self::Waiting,
        }
    }

    /// What the table keeps. What ends by time alone is no change.
    fn stored(self) -> u8 {
        match self {
            Self::Waiting | Self::BackingOff => 0,
            Self::Running | Self::LeaseEnded => 1,
            Self::Parked => 2,
            Self::Processed => 4,
        }
    }
}

impl fmt::Display for InboxState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl FromStr for InboxState {
    type Err = UnknownInboxState;

    fn from_str(name: &str) -> Result<Self, UnknownInboxState> {
        Self::ALL.into_iter().find(|state| state.as_str() == name).ok_or(UnknownInboxState)
    }
}

/// The name is not that of an [`InboxState`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the state is one of waiting, backing-off, running, lease-ended, parked and processed")]
pub struct UnknownInboxState;

/// An event as it was seen in an inbox.
///
/// Keys, types and errors are chosen by senders and handlers: escape them before you show them.
///
/// Tests of what shows events make them with [`new`](Self::new):
///
/// ```
/// use ferro_idem::inbox::operations::{InboxEvent, InboxState};
///
/// let event = InboxEvent::new("github:evt_1", InboxState::Parked).with_attempts(12).with_last_error("451".to_owned());
/// assert_eq!((event.sender(), event.id()), ("github", "evt_1"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxEvent {
    /// The number of its row, which no other event ever gets. 0: it has no row any more.
    seq: i64,
    key: String,
    sender_bytes: usize,
    event_type: Option<String>,
    order_key: Option<String>,
    state: InboxState,
    waits_for_another: bool,
    attempts: u32,
    fencing_token: u64,
    owner: Option<Owner>,
    due_in: Option<Duration>,
    received_at: Option<SystemTime>,
    last_error: Option<String>,
    stored_bytes: Option<u64>,
}

impl InboxEvent {
    /// An event of which only the state is known. The sender's name is what the key has before its first colon.
    pub fn new(key: impl Into<String>, state: InboxState) -> Self {
        let key = key.into();
        Self {
            seq: 0,
            sender_bytes: key.find(':').unwrap_or(0),
            key,
            event_type: None,
            order_key: None,
            state,
            waits_for_another: false,
            attempts: 0,
            fencing_token: 0,
            owner: None,
            due_in: None,
            received_at: None,
            last_error: None,
            stored_bytes: None,
        }
    }

    /// Of a row with this number.
    pub(super) fn of_row(seq: i64, key: String, sender: &str, state: InboxState) -> Self {
        let is_its = key.strip_prefix(sender).is_some_and(|id| id.starts_with(':'));
        let event = Self { seq, ..Self::new(key, state) };
        if is_its { Self { sender_bytes: sender.len(), ..event } } else { event }
    }

    pub(super) fn seq(&self) -> i64 {
        self.seq
    }

    /// The same event with its type. An empty one counts as none.
    #[must_use]
    pub fn with_type(self, event_type: impl Into<Option<String>>) -> Self {
        Self { event_type: event_type.into().filter(|event_type| !event_type.is_empty()), ..self }
    }

    /// The same event with its order key.
    #[must_use]
    pub fn with_order_key(self, order_key: impl Into<Option<String>>) -> Self {
        Self { order_key: order_key.into(), ..self }
    }

    /// The same event, which waits for another one of its order key or not.
    #[must_use]
    pub fn with_wait_for_another(self, waits_for_another: bool) -> Self {
        Self { waits_for_another, ..self }
    }

    /// The same event with the number of its attempts.
    #[must_use]
    pub fn with_attempts(self, attempts: u32) -> Self {
        Self { attempts, ..self }
    }

    /// The same event with its fencing token.
    #[must_use]
    pub fn with_fencing_token(self, fencing_token: u64) -> Self {
        Self { fencing_token, ..self }
    }

    /// The same event with the owner of its last lease.
    #[must_use]
    pub fn with_owner(self, owner: impl Into<Option<Owner>>) -> Self {
        Self { owner: owner.into(), ..self }
    }

    /// The same event with the time until its next attempt or the end of its lease.
    #[must_use]
    pub fn with_due_in(self, due_in: impl Into<Option<Duration>>) -> Self {
        Self { due_in: due_in.into(), ..self }
    }

    /// The same event with the time at which it was received.
    #[must_use]
    pub fn with_received_at(self, received_at: impl Into<Option<SystemTime>>) -> Self {
        Self { received_at: received_at.into(), ..self }
    }

    /// The same event with the error of its last failed attempt.
    #[must_use]
    pub fn with_last_error(self, last_error: impl Into<Option<String>>) -> Self {
        Self { last_error: last_error.into(), ..self }
    }

    /// The same event with the size of what is stored of it.
    #[must_use]
    pub fn with_stored_bytes(self, stored_bytes: impl Into<Option<u64>>) -> Self {
        Self { stored_bytes: stored_bytes.into(), ..self }
    }

    /// The key: the sender's name, a colon, the sender's id. May hold anything but NUL.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The sender's name. Of a processed event, it is what the key has before its first colon.
    pub fn sender(&self) -> &str {
        self.key.get(..self.sender_bytes).unwrap_or_default()
    }

    /// The sender's id of the event.
    pub fn id(&self) -> &str {
        let rest = self.key.get(self.sender_bytes..).unwrap_or_default();
        rest.strip_prefix(':').unwrap_or(rest)
    }

    /// The type, if the sender names one and the event is not processed.
    pub fn event_type(&self) -> Option<&str> {
        self.event_type.as_deref()
    }

    /// The key of [`with_order`](crate::Inbox::with_order): events of one order key run one at a time. A long one is kept
    /// as its SHA-256.
    pub fn order_key(&self) -> Option<&str> {
        self.order_key.as_deref()
    }

    /// The state.
    pub fn state(&self) -> InboxState {
        self.state
    }

    /// Whether it waits for an earlier event of its order key. An event that is due may have to wait all the same, for
    /// as long as another one of its key runs.
    pub fn waits_for_another(&self) -> bool {
        self.waits_for_another
    }

    /// How many attempts were begun since it was received or replayed.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// How often it was taken by a worker. A replay does not lower it.
    pub fn fencing_token(&self) -> u64 {
        self.fencing_token
    }

    /// The owner of its last lease: which take of which worker has it or had it.
    pub fn owner(&self) -> Option<Owner> {
        self.owner
    }

    /// The time until its next attempt is due, on the database's clock. Zero: it is due. Only an event that waits or backs
    /// off has one, and not if it waits for another one.
    pub fn next_attempt_in(&self) -> Option<Duration> {
        let has_attempt = matches!(self.state, InboxState::Waiting | InboxState::BackingOff);
        self.due_in.filter(|_| has_attempt && !self.waits_for_another)
    }

    /// The time that its lease has left, on the database's clock. Only a running event has one.
    pub fn lease_left(&self) -> Option<Duration> {
        self.due_in.filter(|_| self.state == InboxState::Running)
    }

    /// When it was received.
    pub fn received_at(&self) -> Option<SystemTime> {
        self.received_at
    }

    /// The error of its last failed attempt, or why it was parked. At most 1,000 bytes.
    pub fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }

    /// The size of its body, and of the headers that are kept with it. Only [`look`](super::InboxOperations::look) finds
    /// it out.
    pub fn stored_bytes(&self) -> Option<u64> {
        self.stored_bytes
    }

    /// What a change by hand compares, as text for a form. It holds only ASCII letters, digits and `-`.
    ///
    /// An event whose lease or backoff has ended meanwhile still has the same version.
    pub fn version(&self) -> String {
        let owner = self.owner.map(|owner| hex::encode(owner.as_bytes())).unwrap_or_default();
        format!("{}-{}-{}-{owner}", self.seq, self.state.stored(), self.fencing_token)
    }
}
