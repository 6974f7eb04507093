//! Events as requests describe them, and the states that a database reports.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::sqlite::in_flight::EventLock;
use crate::claim::{ClaimOutcome, Ownership};
use crate::event::EventRef;
use crate::owner::Owner;

/// An event to mark, for one call. Cheap to clone, because a caller in a batch keeps a copy.
#[derive(Clone, Debug)]
pub struct Mark {
    pub(crate) id: Arc<str>,
    pub(crate) event_type: Arc<str>,
    pub(crate) owner: Owner,
}

impl Mark {
    pub(crate) fn new(event: EventRef<'_>, owner: Owner) -> Self {
        Self { id: event.id().into(), event_type: event.recorded_type().unwrap_or_default().into(), owner }
    }
}

/// An event to claim, for one call.
#[derive(Clone, Debug)]
pub struct NewClaim {
    pub(crate) mark: Mark,
    pub(crate) lease_millis: i64,
    /// Whether its statement may read the reply of a processed event. All claims of one statement agree.
    pub(crate) reads_reply: bool,
    /// How often the claim failed in a batch although its event was free.
    pub(crate) rounds: u32,
}

impl NewClaim {
    pub(crate) fn new(event: EventRef<'_>, owner: Owner, lease: Duration) -> Self {
        let mark = Mark::new(event, owner);
        Self { mark, lease_millis: millis(lease), reads_reply: false, rounds: 0 }
    }
}

/// A claim that one call holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldClaim {
    pub(crate) id: Arc<str>,
    pub(crate) owner: Owner,
    pub(crate) token: i64,
    /// Only [`ClaimStep::Renew`] reads it.
    pub(crate) lease_millis: i64,
    /// Only [`ClaimStep::CompleteWithReply`] reads it.
    pub(crate) reply: StoredReply,
}

impl HeldClaim {
    pub(crate) fn new(event_id: &str, held: Ownership) -> Self {
        Self {
            id: event_id.into(),
            owner: held.owner,
            token: i64::try_from(held.token).unwrap_or(i64::MAX),
            lease_millis: 0,
            reply: StoredReply::default(),
        }
    }
}

/// A reply to keep. Cheap to clone.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct StoredReply {
    pub(crate) bytes: Arc<[u8]>,
    pub(crate) keep_millis: i64,
}

/// Without the reply, which may hold personal data.
impl fmt::Debug for StoredReply {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("StoredReply").field("bytes", &self.bytes.len()).finish_non_exhaustive()
    }
}

/// What is done to a held claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimStep {
    Renew,
    Complete,
    CompleteWithReply,
    Release,
    /// Release a claim under which no body ran: its token is given back.
    Withdraw,
}

impl ClaimStep {
    /// Whether the step changes a row of this state that has the claim's owner and token. If it does and the row is
    /// still as it was, something keeps changes out.
    pub(crate) fn changes(self, state: i64) -> bool {
        match self {
            ClaimStep::Renew | ClaimStep::Withdraw => state == 0,
            ClaimStep::Complete | ClaimStep::CompleteWithReply => matches!(state, 0 | 1),
            ClaimStep::Release => matches!(state, 0 | 2),
        }
    }

    /// For error messages, to be read after "could not".
    pub(crate) fn operation(self) -> &'static str {
        match self {
            ClaimStep::Renew => "renew the claim",
            ClaimStep::Complete | ClaimStep::CompleteWithReply => "complete the event",
            ClaimStep::Release => "release the event",
            ClaimStep::Withdraw => "take the claim back",
        }
    }

    /// A completion or release is sent without its caller, so that its lease does not stay. A renewal is not,
    /// because no body works under the new lease.
    pub(crate) fn is_sent_without_callers(self) -> bool {
        self != Self::Renew
    }
}

/// A century. Adding it to the time cannot overflow.
const MAX_MILLIS: i64 = 3_155_760_000_000;

/// The length of a lease, or how long a reply is kept, as databases add it to the time.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX).min(MAX_MILLIS)
}

/// What a claim's statement found.
#[derive(Clone, Debug)]
pub enum Claimed {
    /// The claim's own owner has the event.
    Acquired {
        token: u64,
    },
    Processed(FoundReply),
    /// The claim failed, and the state has to be read in a second statement: it may have changed since the
    /// first one began.
    Unknown,
}

impl Claimed {
    /// `None`: read the state, and then claim again.
    pub(crate) fn into_answer(self) -> Option<ClaimAnswer> {
        match self {
            Self::Acquired { token } => Some(ClaimOutcome::Acquired { token }.into()),
            Self::Processed(reply) => Some(ClaimAnswer { outcome: ClaimOutcome::Processed, reply }),
            Self::Unknown => None,
        }
    }
}

/// What a claim's statement found of the reply to a processed event. Cheap to clone.
#[derive(Clone, Default)]
pub enum FoundReply {
    /// The statement did not look for it.
    #[default]
    Unread,
    Read(Option<Arc<Vec<u8>>>),
}

/// Without the reply, which may hold personal data.
impl fmt::Debug for FoundReply {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unread => formatter.write_str("Unread"),
            Self::Read(reply) => {
                formatter.debug_tuple("Read").field(&reply.as_ref().map(|reply| reply.len())).finish()
            }
        }
    }
}

/// The answer to a claim.
#[derive(Clone, Debug)]
pub(crate) struct ClaimAnswer {
    pub(crate) outcome: ClaimOutcome,
    #[cfg_attr(not(feature = "replay"), allow(dead_code, reason = "only replies need it"))]
    pub(crate) reply: FoundReply,
}

impl From<ClaimOutcome> for ClaimAnswer {
    fn from(outcome: ClaimOutcome) -> Self {
        Self { outcome, reply: FoundReply::Unread }
    }
}

/// What marking an event inside a transaction came to. The lock is SQLite's, because other databases have locks that
/// end with their transaction.
#[derive(Debug)]
pub enum MarkedIn {
    /// The event is marked.
    Marked(Option<EventLock>),
    /// A row exists. Its state decides.
    RowExists(Option<EventLock>),
    /// Another transaction has the event.
    Locked,
}

/// Where the mark of a transaction is, before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnMark {
    /// In the transaction that made it.
    Held,
    /// In the table: the transaction was committed, and what was written since then is not part of it.
    Committed,
    /// Nowhere: the transaction was rolled back.
    Gone,
}

/// The state of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventState {
    Processed,
    Claimed {
        left: Duration,
    },
    /// There is no row, or it is released, or its lease has run out.
    Free,
}

impl EventState {
    /// The outcome of a claim that did not get the event. `None`: the event can be claimed.
    pub(crate) fn as_outcome(self) -> Option<ClaimOutcome> {
        match self {
            Self::Processed => Some(ClaimOutcome::Processed),
            Self::Claimed { left } => Some(ClaimOutcome::InProgress { retry_after: left }),
            Self::Free => None,
        }
    }

    /// From a row's `state` column and the milliseconds that its lease has left.
    pub(crate) fn of(state: i64, left: Option<i64>) -> Self {
        match (state, left.and_then(|left| u64::try_from(left).ok())) {
            (1, _) => Self::Processed,
            (0, Some(left)) if left > 0 => Self::Claimed { left: Duration::from_millis(left) },
            _ => Self::Free,
        }
    }

    /// The state of each event, from the rows that a look returned: id, `state`, milliseconds left. `I` is how
    /// the database returns ids.
    pub(crate) fn in_order<I: AsRef<[u8]>, E>(
        ids: &[&str],
        rows: impl Iterator<Item = Result<(I, i64, Option<i64>), E>>,
    ) -> Result<Vec<Self>, E> {
        let mut found: HashMap<&[u8], Self> = ids.iter().map(|id| (id.as_bytes(), Self::Free)).collect();
        for row in rows {
            let (id, state, left) = row?;
            if let Some(known) = found.get_mut(id.as_ref()) {
                *known = Self::of(state, left);
            }
        }
        Ok(ids.iter().map(|id| found.get(id.as_bytes()).copied().unwrap_or(Self::Free)).collect())
    }
}

/// The value of each event that a statement returned.
pub(crate) fn in_order<I: AsRef<[u8]>, T>(ids: &[&str], rows: Vec<(I, T)>) -> Vec<Option<T>> {
    let positions: HashMap<&[u8], usize> =
        ids.iter().enumerate().map(|(position, id)| (id.as_bytes(), position)).collect();
    let mut values: Vec<Option<T>> = ids.iter().map(|_| None).collect();
    for (id, value) in rows {
        if let Some(slot) = positions.get(id.as_ref()).and_then(|position| values.get_mut(*position)) {
            *slot = Some(value);
        }
    }
    values
}

/// The last id of a page of a purge, as bytes: databases order ids by bytes.
pub(crate) type PageEnd = Vec<u8>;

/// The rows that one transaction of a purge reads, and deletes at most. It holds its locks for a few
/// milliseconds.
pub(crate) const PURGE_PAGE: i64 = 500;

/// A fencing token from a database, which has no unsigned integers.
pub(crate) fn token_of(stored: i64) -> u64 {
    u64::try_from(stored).unwrap_or(0)
}

/// For each id, whether a statement returned it.
pub(crate) fn are_in<'a>(returned: &[String], ids: impl Iterator<Item = &'a str>) -> Vec<bool> {
    let returned: std::collections::HashSet<&str> = returned.iter().map(String::as_str).collect();
    ids.map(|id| returned.contains(id)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_whose_lease_ran_out_is_free() {
        assert_eq!(EventState::of(0, Some(5)), EventState::Claimed { left: Duration::from_millis(5) });
        for (state, left) in [(0, Some(0)), (0, Some(-5)), (0, None), (2, None)] {
            assert_eq!(EventState::of(state, left), EventState::Free);
        }
        assert_eq!(EventState::of(1, None), EventState::Processed);
    }
}
