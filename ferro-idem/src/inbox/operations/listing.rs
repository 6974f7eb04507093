//! Which events of an inbox to list or change.

use std::time::Duration;

use super::event::InboxState;
use crate::operations::Cursor;

/// Which events to list, replay or discard. Everything that is set has to match.
///
/// Of a processed event only the key and the time are kept: it matches no type, error or number of attempts.
///
/// ```
/// use std::time::Duration;
///
/// use ferro_idem::inbox::operations::{InboxFilter, InboxState};
///
/// // What is parked for the bank since the last hour.
/// let bank = InboxFilter::new()
///     .with_state(InboxState::Parked)
///     .with_error("503 from the bank")
///     .with_max_age(Duration::from_secs(3600));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InboxFilter {
    pub(super) state: Option<InboxState>,
    pub(super) sender: Option<String>,
    pub(super) event_type: Option<String>,
    pub(super) min_age: Option<Duration>,
    pub(super) max_age: Option<Duration>,
    pub(super) min_attempts: Option<u32>,
    pub(super) error: Option<String>,
}

impl InboxFilter {
    /// All events that are not processed.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only events of this state. Processed events are listed only if this asks for them.
    #[must_use]
    pub fn with_state(self, state: impl Into<Option<InboxState>>) -> Self {
        Self { state: state.into(), ..self }
    }

    /// Only events of the sender with exactly this name: [`Sender::NAME`](crate::sender::Sender::NAME).
    #[must_use]
    pub fn with_sender(self, sender: impl Into<String>) -> Self {
        Self { sender: Some(sender.into()), ..self }
    }

    /// Only events of exactly this type, compared byte for byte.
    #[must_use]
    pub fn with_type(self, event_type: impl Into<String>) -> Self {
        Self { event_type: Some(event_type.into()), ..self }
    }

    /// Only events that were received at least so long ago.
    #[must_use]
    pub fn with_min_age(self, min_age: impl Into<Option<Duration>>) -> Self {
        Self { min_age: min_age.into(), ..self }
    }

    /// Only events that were received at most so long ago.
    #[must_use]
    pub fn with_max_age(self, max_age: impl Into<Option<Duration>>) -> Self {
        Self { max_age: max_age.into(), ..self }
    }

    /// Only events with at least so many attempts.
    #[must_use]
    pub fn with_min_attempts(self, min_attempts: impl Into<Option<u32>>) -> Self {
        Self { min_attempts: min_attempts.into(), ..self }
    }

    /// Only events whose last error contains this text, compared byte for byte. An empty text is in every error.
    #[must_use]
    pub fn with_error(self, text: impl Into<String>) -> Self {
        Self { error: Some(text.into()), ..self }
    }
}

/// What replaying or discarding some events came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChangePage {
    /// How many events were changed.
    pub changed: u64,
    /// How many had changed since they were seen, and were left alone.
    pub too_late: u64,
    /// Where the next part begins. `None`: this is the last part.
    pub next: Option<Cursor>,
}

impl ChangePage {
    /// What a part came to, for an inbox of your own.
    pub fn new(changed: u64, too_late: u64, next: Option<Cursor>) -> Self {
        Self { changed, too_late, next }
    }
}
