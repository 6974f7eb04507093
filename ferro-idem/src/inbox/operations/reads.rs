//! Reading an inbox, a part at a time.

use std::collections::HashSet;

use super::event::InboxEvent;
use super::listing::InboxFilter;
use super::rows::{BYTES, cursor, event_of, numbers, processed_of};
use super::sql::SqlInboxOperations;
use super::statements::{BEFORE_KEYS, Condition, PART, Statements};
use crate::error::Error;
use crate::inbox::dialect::InboxDatabase;
use crate::operations::{Cursor, MAX_PAGE, Page};

/// How many parts one page of a list reads.
const MAX_PARTS: u32 = 10;

impl<D: InboxDatabase> SqlInboxOperations<D> {
    /// The rows of a part that match, and where the next part begins. `None`: there is nothing after it.
    pub(super) async fn read_part(
        &self,
        condition: &Condition,
        after: i64,
        limit: usize,
    ) -> Result<(Vec<InboxEvent>, Option<i64>), Error> {
        let rows = self.read(self.statements.list(condition, after, limit), BYTES).await?;
        let events: Vec<InboxEvent> = rows.into_iter().map(event_of).collect();
        let end = if events.len() >= limit {
            events.last().map(InboxEvent::seq)
        } else {
            self.part_end(after).await?
        };
        Ok((events, end))
    }

    pub(super) async fn part_end(&self, after: i64) -> Result<Option<i64>, Error> {
        let end = self.read(self.statements.part_end(after, PART), 0).await?;
        let end = end.first().map(|end| (end.number(0), end.count(1)));
        // A part that is not full is the last one.
        Ok(end.and_then(|(last, rows)| last.filter(|_| rows >= PART.unsigned_abs())))
    }

    /// One row as it is now, with the size of what is stored.
    pub(super) async fn look_at_row(&self, seq: i64) -> Result<Option<InboxEvent>, Error> {
        let row = self.read(self.statements.look(seq), BYTES).await?.into_iter().next();
        Ok(row.map(|row| {
            let stored = row.number(6).and_then(|bytes| u64::try_from(bytes).ok());
            event_of(row).with_stored_bytes(stored)
        }))
    }

    /// The event as it is if it has no row.
    pub(super) async fn look_at_key(&self, key: &str) -> Result<Option<InboxEvent>, Error> {
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

    pub(super) async fn list_unfinished(
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

    pub(super) async fn list_processed(
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
        let mut events: Vec<InboxEvent> = Vec::new();
        // More at a time if many of the keys are those of unfinished events.
        let mut wanted = limit;
        let mut parts = 0;
        let next = loop {
            let query = self.statements.list_keys(&condition, &after, wanted);
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
            wanted = (wanted * 4).min(MAX_PAGE);
            if events.len() > limit {
                events.truncate(limit);
                break events.last().map(|last| last.key().as_bytes().to_vec());
            }
            match end.filter(|end| of_sender(end)) {
                Some(end) if events.len() < limit && parts < MAX_PARTS => after = end,
                end => break end,
            }
        };
        Ok(Page::new(events, next.map(|end| Cursor::of_key(&end))))
    }

    /// The last key of a part, and how many it has.
    pub(super) async fn keys_end(&self, after: &[u8]) -> Result<(Option<Vec<u8>>, u64), Error> {
        let end = self.read(self.statements.keys_end(after), 1).await?.into_iter().next();
        Ok(end.map_or((None, 0), |mut end| (end.take_bytes(0), end.count(0))))
    }

    /// The event with this key.
    pub(super) async fn find(&self, key: &str) -> Result<Option<InboxEvent>, Error> {
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
}
