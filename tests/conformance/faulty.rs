//! A small log in a map that keeps every promise except the one that a test chooses.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use ferro_idem::{ClaimLog, ClaimOutcome, Error, EventRef, Owner, Ownership, ProcessedEventLog};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Defect {
    // Of the store.
    FoldsCase,
    IgnoresAccents,
    IgnoresTrailingSpaces,
    Normalizes,
    ReadsNumbers,
    CutsIds,
    BindsByHand,
    LooksThenWrites,
    LeaksALockOnDrop,
    ForgetsOnRestart,
    PurgesLiveClaims,
    // Of the fence.
    TakesAnyId,
    KeysByType,
    DuplicatesDelete,
    // Of claims.
    NoTimeLeft,
    StrangerToItself,
    FenceAlone,
    OwnerAlone,
    RenewsNothing,
    FenceStays,
    CompletesForAnyone,
    ReleasesForAnyone,
    RenewsForAnyone,
    ReleaseKeepsTheLease,
    CompletesReleased,
    SecondReleaseFails,
    SecondCompleteFails,
    ReleasesProcessed,
    CompletesUnknown,
    HandleIsAnotherStore,
    NewFenceAfterRelease,
    // Of transactions.
    CommitLosesTheMark,
    CommitLosesEffects,
    CommitsWithoutLooking,
    LendsAnotherConnection,
    RollbackKeepsTheMark,
    RollbackDeletes,
    DropCommits,
    IgnoresOpenTransactions,
    OneTransactionForAll,
    // Of one guarantee beside another.
    ClaimsIgnoreMarks,
    MarksIgnoreClaims,
    MarksIgnoreReleases,
    MarksIgnoreCompletions,
    TransactionsIgnoreProcessed,
    TransactionsIgnoreClaims,
    TransactionsIgnoreReleases,
    TakeoverKeepsTheClaim,
    // Of replies.
    LosesReplies,
    CutsRepliesAtNul,
    TakesEmptyForNone,
    DecodesReplies,
    InventsReplies,
    OneReplyForAll,
    KeepsForAnyone,
    MixesReplies,
    NeverExpires,
    ExpiryForgetsTheEvent,
    ReplyLeavesTheClaim,
    CompletesThenKeeps,
    ReadsUnderALeakedLock,
    ClaimReturnsNoReply,
    ClaimReturnsExpiredReplies,
    PurgeKeepsReplies,
    ForgetKeepsReplies,
    KeepsAtOnce,
    KeepsForAnyEvent,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Claimed { until: Instant },
    Released,
    Processed,
}

#[derive(Clone, Copy)]
pub(crate) struct Row {
    pub(crate) state: State,
    /// No owner: the row was marked by a plain fence.
    pub(crate) held: Option<Ownership>,
}

#[derive(Default)]
pub(crate) struct Table {
    pub(crate) rows: HashMap<String, Row>,
    /// The events of open transactions.
    pub(crate) open: HashSet<String>,
    /// The replies, each with its end.
    pub(crate) replies: HashMap<String, (Vec<u8>, Option<Instant>)>,
    /// Of each effect, its event.
    pub(crate) effects: Vec<String>,
    pub(crate) locked: bool,
}

#[derive(Clone)]
pub(crate) struct Faulty {
    table: Arc<Mutex<Table>>,
    defect: Option<Defect>,
}

impl Faulty {
    pub(crate) fn new(defect: impl Into<Option<Defect>>) -> Self {
        Self { table: Arc::default(), defect: defect.into() }
    }

    pub(crate) fn has(&self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }

    pub(crate) fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap()
    }

    pub(crate) fn key(&self, id: &str) -> String {
        match self.defect {
            Some(Defect::FoldsCase) => id.to_lowercase(),
            Some(Defect::IgnoresAccents) => id.replace('\u{e0}', "a").replace('\u{300}', ""),
            Some(Defect::IgnoresTrailingSpaces) => id.trim_end_matches(' ').to_owned(),
            Some(Defect::Normalizes) => id.replace("a\u{300}", "\u{e0}"),
            Some(Defect::ReadsNumbers) => {
                id.parse().map_or_else(|_| id.to_owned(), |number: f64| number.to_string())
            }
            Some(Defect::CutsIds) => id.chars().take(100).collect(),
            Some(Defect::BindsByHand) if ["$1", "?"].contains(&id) => "a placeholder".into(),
            _ => id.to_owned(),
        }
    }

    /// The row before this call, for the defects that read and write separately. A correct log does both
    /// under one lock.
    pub(crate) async fn look(&self, key: &str) -> Option<Option<Row>> {
        if self.has(Defect::LeaksALockOnDrop) {
            if std::mem::replace(&mut self.table().locked, true) {
                // Treats the row that another call is writing as written.
                return Some(Some(Row { state: State::Processed, held: None }));
            }
            tokio::task::yield_now().await;
            self.table().locked = false;
        }
        if !self.has(Defect::LooksThenWrites) {
            return None;
        }
        let looked = self.table().rows.get(key).copied();
        tokio::time::sleep(Duration::from_millis(1)).await;
        Some(looked)
    }

    async fn mark(&self, key: String) -> bool {
        let looked = self.look(&key).await;
        let mut table = self.table();
        let first = match looked.unwrap_or(table.rows.get(&key).copied()) {
            None => true,
            Some(Row { state: State::Claimed { .. }, .. }) => self.has(Defect::MarksIgnoreClaims),
            Some(Row { state: State::Released, .. }) => self.has(Defect::MarksIgnoreReleases),
            Some(Row { state: State::Processed, held }) => {
                held.is_some() && self.has(Defect::MarksIgnoreCompletions)
            }
        };
        if first {
            table.rows.insert(key, Row { state: State::Processed, held: None });
        } else if self.has(Defect::DuplicatesDelete) {
            table.rows.remove(&key);
        }
        first
    }

    /// Changes the row where `step` gives a new state for it.
    pub(crate) fn settle(
        &self,
        id: &str,
        held: Ownership,
        step: impl Fn(Row, bool) -> Option<State>,
    ) -> bool {
        let mut table = self.table();
        let Some(row) = table.rows.get_mut(&self.key(id)) else {
            return self.has(Defect::CompletesUnknown);
        };
        let is_holder = row.held.is_some_and(|holder| match self.defect {
            Some(Defect::FenceAlone) => holder.token == held.token,
            Some(Defect::OwnerAlone) => holder.owner == held.owner,
            _ => holder == held,
        });
        let next = step(*row, is_holder);
        row.state = next.unwrap_or(row.state);
        next.is_some()
    }
}

#[async_trait]
impl ProcessedEventLog for Faulty {
    async fn try_mark_processed(&self, event_id: &str) -> Result<bool, Error> {
        if !self.has(Defect::TakesAnyId) {
            EventRef::new(event_id)?;
        }
        Ok(self.mark(self.key(event_id)).await)
    }

    async fn try_mark_event(&self, event: EventRef<'_>) -> Result<bool, Error> {
        let mut key = self.key(event.id());
        if self.has(Defect::KeysByType) {
            key += event.event_type().unwrap_or_default();
        }
        Ok(self.mark(key).await)
    }
}

#[async_trait]
impl ClaimLog for Faulty {
    async fn claim(&self, event: EventRef<'_>, owner: Owner, lease: Duration) -> Result<ClaimOutcome, Error> {
        let key = self.key(event.id());
        let looked = self.look(&key).await;
        let mut table = self.table();
        let now = Instant::now();
        let token = match looked.unwrap_or(table.rows.get(&key).copied()) {
            None => 1,
            Some(Row { state, held }) => {
                let is_own = held.is_some_and(|held| held.owner == owner);
                let token = held.map_or(0, |held| held.token);
                match state {
                    State::Processed if held.is_some() || !self.has(Defect::ClaimsIgnoreMarks) => {
                        return Ok(ClaimOutcome::Processed);
                    }
                    State::Claimed { until }
                        if until > now && (!is_own || self.has(Defect::StrangerToItself)) =>
                    {
                        let left = if self.has(Defect::NoTimeLeft) { now } else { until };
                        return Ok(ClaimOutcome::InProgress { retry_after: left - now });
                    }
                    State::Released if is_own && self.has(Defect::NewFenceAfterRelease) => token + 1,
                    _ if is_own || self.has(Defect::FenceStays) => token,
                    _ => token + 1,
                }
            }
        };
        let state = State::Claimed { until: now + lease };
        table.rows.insert(key, Row { state, held: Some(Ownership { owner, token }) });
        Ok(ClaimOutcome::Acquired { token })
    }

    async fn renew(&self, event_id: &str, held: Ownership, lease: Duration) -> Result<bool, Error> {
        Ok(self.settle(event_id, held, |row, is_holder| match row.state {
            State::Claimed { .. } if is_holder && self.has(Defect::RenewsNothing) => Some(row.state),
            State::Claimed { .. } if is_holder || self.has(Defect::RenewsForAnyone) => {
                Some(State::Claimed { until: Instant::now() + lease })
            }
            _ => None,
        }))
    }

    async fn complete(&self, event_id: &str, held: Ownership) -> Result<bool, Error> {
        Ok(self.settle(event_id, held, |row, is_holder| {
            match row.state {
                State::Claimed { .. } => is_holder || self.has(Defect::CompletesForAnyone),
                State::Released => is_holder && self.has(Defect::CompletesReleased),
                State::Processed => is_holder && !self.has(Defect::SecondCompleteFails),
            }
            .then_some(State::Processed)
        }))
    }

    async fn release(&self, event_id: &str, held: Ownership) -> Result<bool, Error> {
        Ok(self.settle(event_id, held, |row, is_holder| match row.state {
            State::Claimed { .. } if is_holder && self.has(Defect::ReleaseKeepsTheLease) => Some(row.state),
            State::Claimed { .. } => {
                (is_holder || self.has(Defect::ReleasesForAnyone)).then_some(State::Released)
            }
            State::Released => {
                (is_holder && !self.has(Defect::SecondReleaseFails)).then_some(State::Released)
            }
            State::Processed => (is_holder && self.has(Defect::ReleasesProcessed)).then_some(State::Released),
        }))
    }

    fn handle(&self) -> Arc<dyn ClaimLog> {
        if self.has(Defect::HandleIsAnotherStore) {
            return Arc::new(Self::new(None));
        }
        Arc::new(self.clone())
    }
}
