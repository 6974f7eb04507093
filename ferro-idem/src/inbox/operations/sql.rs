//! Operations on an inbox in a SQL database.

use std::collections::HashSet;
use std::time::Duration;

use async_trait::async_trait;

use super::InboxOperations;
use super::counts::{InboxCountPage, InboxCounts};
use super::event::{InboxEvent, InboxState};
use super::listing::{ChangePage, InboxFilter};
use super::requests::{Read, StepAll};
use super::statements::{BEFORE_KEYS, Condition, PART, Statement, Statements};
use crate::claim::Ownership;
use crate::detach_on_drop::DetachOnDrop;
use crate::error::Error;
use crate::event::InvalidEventId;
use crate::inbox::delivery::{Held, without_sender};
use crate::inbox::dialect::InboxDatabase;
use crate::inbox::step::{Step, StepOf, owner_or_none};
use crate::inbox::store::InboxStore;
use crate::operations::{Change, Cursor, InvalidCursor, MAX_PAGE, Page, PurgePage};
use crate::sql::{Cells, PURGE_PAGE, Request, time_of};

/// How many parts one page of a list reads.
const MAX_PARTS: u32 = 10;

/// How many events one batch replays or discards.
const BATCH: usize = 256;

/// The columns of an event that are bytes.
const BYTES: usize = 6;

/// The operations of one inbox's tables.
pub(in crate::inbox) struct SqlInboxOperations<D: InboxDatabase> {
    store: InboxStore<D>,
    statements: Statements,
}

impl<D: InboxDatabase> SqlInboxOperations<D> {
    pub(in crate::inbox) fn new(store: InboxStore<D>) -> Self {
        let statements = Statements::new::<D>(store.names());
        Self { store, statements }
    }

    /// Sends a request in a background task if its caller is dropped, so that no connection is in the middle of it.
    async fn send<R>(&self, request: R) -> Result<R::Answer, Error>
    where
        R: Request<D, D::InboxStatements, Answer: 'static> + Send + 'static,
    {
        let store = self.store.clone();
        DetachOnDrop::new(async move { store.send(&request).await }).await
    }

    async fn read(&self, query: Statement, bytes: usize) -> Result<Vec<Cells>, Error> {
        self.send(Read { query, bytes }).await
    }

    /// The rows of a part that match, and where the next part begins. `None`: there is nothing after it.
    async fn read_part(
        &self,
        condition: &Condition,
        after: i64,
        limit: usize,
    ) -> Result<(Vec<InboxEvent>, Option<i64>), Error> {
        let rows = self.read(self.statements.list(condition, after, PART, limit), BYTES).await?;
        let events: Vec<InboxEvent> = rows.into_iter().map(event_of).collect();
        let end = if events.len() >= limit {
            events.last().map(InboxEvent::seq)
        } else {
            self.part_end(after).await?
        };
        Ok((events, end))
    }

    async fn part_end(&self, after: i64) -> Result<Option<i64>, Error> {
        let end = self.read(self.statements.part_end(after, PART), 0).await?;
        let end = end.first().map(|end| (end.number(0), end.count(1)));
        // A part that is not full is the last one.
        Ok(end.and_then(|(last, rows)| last.filter(|_| rows >= PART.unsigned_abs())))
    }

    /// One row as it is now, with the size of what is stored.
    async fn look_at_row(&self, seq: i64) -> Result<Option<InboxEvent>, Error> {
        let row = self.read(self.statements.look(seq), BYTES).await?.into_iter().next();
        Ok(row.map(|row| {
            let stored = row.number(6).and_then(|bytes| u64::try_from(bytes).ok());
            event_of(row).with_stored_bytes(stored)
        }))
    }

    /// The event as it is if it has no row.
    async fn look_at_key(&self, key: &str) -> Result<Option<InboxEvent>, Error> {
        let row = self.read(self.statements.look_at_key(key), 1).await?.into_iter().next();
        Ok(row.map(processed_of))
    }

    /// Those of these keys whose events are not processed.
    async fn unfinished(&self, keys: &[&[u8]]) -> Result<HashSet<String>, Error> {
        let condition = Statements::of_keys(keys);
        let mut unfinished = HashSet::new();
        let mut after = 0;
        while unfinished.len() < keys.len() {
            // One more than can be found, so that a part is read to its end.
            let (events, end) = self.read_part(&condition, after, keys.len() + 1).await?;
            unfinished.extend(events.into_iter().map(|event| event.key().to_owned()));
            let Some(end) = end else { break };
            after = end;
        }
        Ok(unfinished)
    }

    async fn list_unfinished(
        &self,
        filter: &InboxFilter,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<InboxEvent>, Error> {
        let condition = self.statements.matching(filter, None);
        let [mut after] = after.map_or(Ok([0]), numbers)?;
        let mut events = Vec::new();
        let mut parts = 0;
        let next = loop {
            let (mut found, end) = self.read_part(&condition, after, limit - events.len()).await?;
            parts += 1;
            events.append(&mut found);
            match end {
                Some(end) if events.len() < limit && parts < MAX_PARTS => after = end,
                end => break end,
            }
        };
        Ok(Page::new(events, next.map(|end| cursor(&[end]))))
    }

    async fn list_processed(
        &self,
        filter: &InboxFilter,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<InboxEvent>, Error> {
        let has_more = filter.event_type.is_some() || filter.error.is_some();
        if has_more || filter.min_attempts.is_some_and(|min| min > 0) {
            return Ok(Page::new(Vec::new(), None));
        }
        let prefix = filter.sender.as_ref().map(|sender| format!("{sender}:").into_bytes());
        let start = prefix.as_deref().unwrap_or(BEFORE_KEYS);
        let condition = self.statements.of_ages(filter);
        let mut after = after.map(Cursor::key).transpose()?.unwrap_or_default().max(start.to_vec());
        let of_sender = |key: &[u8]| prefix.as_deref().is_none_or(|prefix| key.starts_with(prefix));
        let mut events = Vec::new();
        let mut parts = 0;
        let next = loop {
            let wanted = limit - events.len();
            let query = self.statements.list_keys(&condition, &after, PART, wanted);
            let found: Vec<InboxEvent> = self.read(query, 1).await?.into_iter().map(processed_of).collect();
            let end = if found.len() >= wanted {
                found.last().map(|last| last.key().as_bytes().to_vec())
            } else {
                let (end, keys) = self.keys_end(&after).await?;
                end.filter(|_| keys >= PART.unsigned_abs())
            };
            let of_page: Vec<InboxEvent> =
                found.into_iter().filter(|event| of_sender(event.key().as_bytes())).collect();
            if !of_page.is_empty() {
                let keys: Vec<&[u8]> = of_page.iter().map(|event| event.key().as_bytes()).collect();
                let unfinished = self.unfinished(&keys).await?;
                events.extend(of_page.into_iter().filter(|event| !unfinished.contains(event.key())));
            }
            parts += 1;
            match end.filter(|end| of_sender(end)) {
                Some(end) if events.len() < limit && parts < MAX_PARTS => after = end,
                end => break end,
            }
        };
        Ok(Page::new(events, next.map(|end| Cursor::of_key(&end))))
    }

    /// The last key of a part, and how many it has.
    async fn keys_end(&self, after: &[u8]) -> Result<(Option<Vec<u8>>, u64), Error> {
        let end = self.read(self.statements.keys_end(after), 1).await?.into_iter().next();
        Ok(end.map_or((None, 0), |mut end| (end.take_bytes(0), end.count(0))))
    }

    async fn change(&self, step: Step, seen: &InboxEvent) -> Result<Change<InboxEvent>, Error> {
        if let Err(why) = applies(step, seen.state()) {
            return Ok(Change::NotPossible(why));
        }
        let changed = self.send(StepAll { step, of: vec![step_of(step, seen)] }).await?;
        if changed.first() == Some(&true) {
            self.store.wake();
            return Ok(Change::Done);
        }
        let now = self.look_at_row(seen.seq()).await?.filter(|now| now.key() == seen.key());
        Ok(Change::TooLate(match now {
            Some(now) => Some(now),
            None => self.look(seen.key()).await?,
        }))
    }

    async fn change_page(
        &self,
        step: Step,
        filter: &InboxFilter,
        after: Option<&Cursor>,
    ) -> Result<ChangePage, Error> {
        let [after, until] = if let Some(after) = after {
            numbers(after)?
        } else {
            // An event keeps its number if it is parked again, so nothing is changed twice. Later ones are left out.
            let last = self.read(self.statements.last(), 0).await?;
            [0, last.first().and_then(|last| last.number(0)).unwrap_or(0)]
        };
        let filter = filter.clone().with_state(InboxState::Parked);
        let condition = self.statements.matching(&filter, Some(until));
        let (events, end) = self.read_part(&condition, after, BATCH).await?;
        let mut page = ChangePage::new(0, 0, end.filter(|end| *end < until).map(|end| cursor(&[end, until])));
        if !events.is_empty() {
            let of = events.iter().map(|event| step_of(step, event)).collect();
            for is_changed in self.send(StepAll { step, of }).await? {
                if is_changed {
                    page.changed += 1;
                } else {
                    page.too_late += 1;
                }
            }
            self.store.wake();
        }
        Ok(page)
    }
}

#[async_trait]
impl<D: InboxDatabase> InboxOperations for SqlInboxOperations<D> {
    async fn look(&self, key: &str) -> Result<Option<InboxEvent>, Error> {
        valid(key)?;
        let Some(processed) = self.look_at_key(key).await? else { return Ok(None) };
        let condition = Statements::of_keys(&[key.as_bytes()]);
        let mut after = 0;
        loop {
            let (found, end) = self.read_part(&condition, after, 1).await?;
            if let Some(found) = found.first() {
                // It may be completed since.
                return Ok(Some(self.look_at_row(found.seq()).await?.unwrap_or(processed)));
            }
            match end {
                Some(end) => after = end,
                None => return Ok(Some(processed)),
            }
        }
    }

    async fn list(
        &self,
        filter: &InboxFilter,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<InboxEvent>, Error> {
        let limit = limit.clamp(1, MAX_PAGE);
        match filter.state {
            Some(InboxState::Processed) => self.list_processed(filter, after, limit).await,
            _ => self.list_unfinished(filter, after, limit).await,
        }
    }

    async fn count_page(&self, after: Option<&Cursor>) -> Result<InboxCountPage, Error> {
        let [after] = after.map_or(Ok([0]), numbers)?;
        let mut counts = InboxCounts::default();
        for row in self.read(self.statements.count(after), 0).await? {
            let state = InboxState::of(row.number(0).unwrap_or(0), row.number(1));
            counts.count(state, row.count(2), row.number(3).and_then(time_of));
        }
        let end = self.part_end(after).await?;
        Ok(InboxCountPage::new(counts, end.map(|end| cursor(&[end]))))
    }

    async fn count_keys_page(&self, after: Option<&Cursor>) -> Result<(u64, Option<Cursor>), Error> {
        let after = after.map(Cursor::key).transpose()?.unwrap_or_else(|| BEFORE_KEYS.to_vec());
        let (end, keys) = self.keys_end(&after).await?;
        Ok((keys, end.filter(|_| keys >= PART.unsigned_abs()).map(|end| Cursor::of_key(&end))))
    }

    async fn replay(&self, seen: &InboxEvent) -> Result<Change<InboxEvent>, Error> {
        self.change(Step::Replay, seen).await
    }

    async fn discard(&self, seen: &InboxEvent) -> Result<Change<InboxEvent>, Error> {
        self.change(Step::Discard, seen).await
    }

    async fn replay_page(&self, filter: &InboxFilter, after: Option<&Cursor>) -> Result<ChangePage, Error> {
        self.change_page(Step::Replay, filter, after).await
    }

    async fn discard_page(&self, filter: &InboxFilter, after: Option<&Cursor>) -> Result<ChangePage, Error> {
        self.change_page(Step::Discard, filter, after).await
    }

    async fn purge_page(&self, older_than: Duration, after: Option<&Cursor>) -> Result<PurgePage, Error> {
        let after = after.map(Cursor::key).transpose()?.unwrap_or_default();
        Ok(match self.store.purge_page(older_than, after).await? {
            Some((end, deleted)) => {
                PurgePage::new(deleted, PURGE_PAGE.unsigned_abs(), Some(Cursor::of_key(&end)))
            }
            None => PurgePage::default(),
        })
    }
}

/// Why a step is not possible for an event of this state.
fn applies(step: Step, state: InboxState) -> Result<(), &'static str> {
    match (state, step) {
        (InboxState::Parked, _) => Ok(()),
        (InboxState::Processed, Step::Discard) => {
            Err("The event is processed, and its body is deleted already.")
        }
        (InboxState::Processed, _) => {
            Err("The event is processed, and its body is deleted: only its sender can deliver it again.")
        }
        (InboxState::Waiting | InboxState::BackingOff, Step::Discard) => Err(
            "The event is not parked. It waits for its next attempt, and only a parked event can be discarded.",
        ),
        (InboxState::Waiting | InboxState::BackingOff, _) => {
            Err("The event is not parked. It waits for its next attempt, which comes by itself.")
        }
        (InboxState::Running | InboxState::LeaseEnded, _) => {
            Err("The event is not parked. A worker has it, or takes it over after the end of its lease.")
        }
    }
}

fn step_of(step: Step, seen: &InboxEvent) -> StepOf {
    let held = Held {
        seq: seen.seq(),
        event_id: seen.key().into(),
        ownership: Ownership { owner: owner_or_none(seen.owner()), token: seen.fencing_token() },
    };
    StepOf::new(step, &held, Duration::ZERO, "")
}

fn event_of(mut row: Cells) -> InboxEvent {
    let (stored, due_in) = (row.number(1).unwrap_or(0), row.number(4));
    let state = InboxState::of(stored, due_in);
    let sender = row.take_text(1).unwrap_or_default();
    let key = row.take_text(0).unwrap_or_default();
    let due_in = Duration::from_millis(due_in.and_then(|millis| u64::try_from(millis).ok()).unwrap_or(0));
    InboxEvent::of_row(row.number(0).unwrap_or(0), key, &sender, state)
        .with_type(row.take_text(2))
        .with_order_key(row.take_text(3).map(|key| without_sender(&key, &sender)))
        .with_last_error(row.take_text(4))
        .with_owner(row.owner(5))
        .with_wait_for_another(stored == 3)
        .with_attempts(u32::try_from(row.count(2)).unwrap_or(u32::MAX))
        .with_fencing_token(row.count(3))
        .with_due_in(due_in)
        .with_received_at(row.number(5).and_then(time_of))
}

fn processed_of(mut row: Cells) -> InboxEvent {
    let key = row.take_text(0).unwrap_or_default();
    InboxEvent::new(key, InboxState::Processed).with_received_at(row.number(0).and_then(time_of))
}

/// A key that no inbox has is a mistake of the caller.
fn valid(key: &str) -> Result<(), Error> {
    let reason = match key {
        "" => InvalidEventId::Empty,
        key if key.contains('\0') => InvalidEventId::HoldsNul,
        _ => return Ok(()),
    };
    Err(Error::InvalidEventId { reason })
}

/// A cursor of these row numbers.
fn cursor(numbers: &[i64]) -> Cursor {
    let numbers: Vec<String> = numbers.iter().map(i64::to_string).collect();
    Cursor::from_text(format!("r{}", numbers.join(".")))
}

/// So many row numbers of a cursor.
fn numbers<const N: usize>(cursor: &Cursor) -> Result<[i64; N], InvalidCursor> {
    let numbers = cursor.as_str().strip_prefix('r').ok_or(InvalidCursor)?;
    let numbers: Result<Vec<i64>, _> = numbers.split('.').map(str::parse).collect();
    numbers.map_err(|_| InvalidCursor)?.try_into().map_err(|_| InvalidCursor)
}
