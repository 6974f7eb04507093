//! Lists of events: what they hold, and where they go on.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::event::{EventState, LoggedEvent};

/// The most events of one page.
pub const MAX_PAGE: usize = 1_000;

/// Cursors are read from forms and command lines.
const MAX_CURSOR_BYTES: usize = 64 * 1_024;

/// Which events to list. Everything that is set has to match.
///
/// ```
/// use std::time::Duration;
///
/// use ferro_idem::operations::{EventState, Filter};
///
/// // Claims of processes that are gone, for an hour or more.
/// let stuck = Filter::new().with_state(EventState::LeaseEnded).with_min_age(Duration::from_secs(3600));
/// // Events whose body was begun at least five times.
/// let poison = Filter::new().with_min_token(5);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    pub(crate) state: Option<EventState>,
    pub(crate) event_type: Option<String>,
    pub(crate) min_age: Option<Duration>,
    pub(crate) max_age: Option<Duration>,
    pub(crate) min_token: Option<u64>,
}

impl Filter {
    /// All events.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only events of this state.
    #[must_use]
    pub fn with_state(self, state: impl Into<Option<EventState>>) -> Self {
        Self { state: state.into(), ..self }
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

    /// Only events with at least this fencing token: their body was begun so often.
    #[must_use]
    pub fn with_min_token(self, min_token: impl Into<Option<u64>>) -> Self {
        Self { min_token: min_token.into(), ..self }
    }

    #[cfg(any(feature = "memory", feature = "mysql", feature = "postgres", feature = "sqlite"))]
    pub(crate) fn needs_times(&self) -> bool {
        self.min_age.is_some() || self.max_age.is_some()
    }

    #[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
    pub(crate) fn is_all(&self) -> bool {
        *self == Self::default()
    }

    /// For stores that cannot filter by themselves. `age` is counted by the store.
    #[cfg(any(feature = "memory", feature = "redis"))]
    pub(crate) fn matches(&self, event: &LoggedEvent) -> bool {
        let age = event.age();
        self.state.is_none_or(|state| state == event.state())
            && self
                .event_type
                .as_deref()
                .is_none_or(|wanted| wanted == event.event_type().unwrap_or_default())
            && self.min_token.is_none_or(|min| event.fencing_token() >= min)
            && self.min_age.is_none_or(|min| age.is_some_and(|age| age >= min))
            && self.max_age.is_none_or(|max| age.is_some_and(|age| age <= max))
    }
}

/// One page of a list, of a log or, as `Page<InboxEvent>`, of an inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page<E = LoggedEvent> {
    /// The events. There may be fewer than the limit, or none, although there are more pages.
    pub events: Vec<E>,
    /// Where the next page begins. `None`: this is the last page.
    pub next: Option<Cursor>,
}

impl<E> Page<E> {
    /// A page, for a log of your own.
    pub fn new(events: Vec<E>, next: Option<Cursor>) -> Self {
        Self { events, next }
    }
}

/// Where a list goes on. As text it holds only ASCII letters, digits and `.`, so it fits into a URL.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cursor(String);

impl Cursor {
    /// After this key.
    pub fn of_key(key: &[u8]) -> Self {
        Self(format!("k{}", hex::encode(key)))
    }

    /// The key that [`of_key`](Self::of_key) was made from.
    ///
    /// # Errors
    ///
    /// [`InvalidCursor`] if the cursor is of another store.
    pub fn key(&self) -> Result<Vec<u8>, InvalidCursor> {
        let key = self.0.strip_prefix('k').and_then(|key| hex::decode(key).ok());
        key.filter(|key| !key.is_empty()).ok_or(InvalidCursor)
    }

    #[cfg(any(feature = "inbox", feature = "redis"))]
    pub(crate) fn from_text(text: String) -> Self {
        Self(text)
    }

    #[cfg(any(feature = "inbox", feature = "redis"))]
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let is_valid = (1..=MAX_CURSOR_BYTES).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.');
        if is_valid { Ok(Self(text.to_owned())) } else { Err(InvalidCursor) }
    }
}

/// The text is not the cursor of a page of this store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not where a page of this log ended: begin the list again")]
pub struct InvalidCursor;

impl From<InvalidCursor> for crate::error::Error {
    fn from(invalid: InvalidCursor) -> Self {
        Self::Store {
            operation: "go on with the list".into(),
            advice: "the cursor is not of this log, so begin the list again".into(),
            source: invalid.into(),
        }
    }
}
