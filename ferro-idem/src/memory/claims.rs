//! The rows of claimed events. An event that is only marked has none.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use dashmap::mapref::one::RefMut;
use dashmap::{DashMap, Entry};
use foldhash::fast::RandomState;
use tokio::time::Instant;

use super::key::Key;
use super::sweep::SweepBudget;
use crate::claim::row::{Row, State, Time};
use crate::claim::{ClaimOutcome, Ownership};
use crate::owner::Owner;

/// How long a processed row is kept beside its mark, so that a repeated `complete` finds it.
const COMPLETED: Duration = Duration::from_mins(10);

/// The rows, by event id. Time is tokio's, so that tests can pause it.
pub(super) struct Claims {
    /// Set before the first row is inserted, so that a plain fence does not search an empty map.
    used: AtomicBool,
    rows: DashMap<Key, Touched, RandomState>,
    /// The highest fencing token among the processed rows that were swept. An event that is forgotten later begins
    /// above it.
    swept: AtomicU64,
    /// The token below which the next claim of an event that was forgotten must not begin. A fence does not look
    /// here, because such an event may never have been claimed.
    forgotten: DashMap<Key, u64, RandomState>,
    budget: SweepBudget,
    /// How long the fencing token of an event without a live claim is kept.
    retention: Option<Duration>,
    start: Instant,
}

struct Touched {
    row: Row,
    at: Time,
    /// Only a processed row has one. A new claim, or a change by hand, makes a row without it.
    reply: Option<Box<Reply>>,
}

/// The reply of a completion.
#[cfg_attr(not(feature = "replay"), allow(dead_code, reason = "only replies need it"))]
struct Reply {
    stored: Box<[u8]>,
    until: Time,
}

impl Touched {
    fn new(row: Row, at: Time) -> Self {
        Self { row, at, reply: None }
    }

    /// Whether a reply is kept that has not expired.
    fn has_reply(&self, now: Time) -> bool {
        self.reply.as_ref().is_some_and(|reply| reply.until > now)
    }
}

impl Claims {
    pub(super) fn new(retention: Option<Duration>) -> Self {
        Self {
            used: AtomicBool::new(false),
            rows: DashMap::default(),
            swept: AtomicU64::new(0),
            forgotten: DashMap::default(),
            budget: SweepBudget::new(),
            retention,
            start: Instant::now(),
        }
    }

    /// Called before a claim takes the lock that orders it against marks of the same event.
    pub(super) fn announce(&self) {
        self.used.store(true, Ordering::Release);
    }

    /// Whether an event that is not marked was claimed.
    pub(super) fn has(&self, id: &str) -> bool {
        self.used.load(Ordering::Acquire)
            && self.rows.get(&Key::new(id)).is_some_and(|touched| !self.is_forgotten(&touched, self.now()))
    }

    /// Claims an event that is not marked.
    pub(super) fn claim(&self, id: &str, owner: Owner, lease: Duration) -> ClaimOutcome {
        let now = self.now();
        let (outcome, is_new) = match self.rows.entry(Key::new(id)) {
            Entry::Occupied(mut entry) => {
                let before = Some(entry.get()).filter(|touched| !self.is_forgotten(touched, now));
                let (row, outcome) = Row::claim(before.map(|touched| touched.row), owner, now, lease);
                entry.insert(Touched::new(row, now));
                (outcome, false)
            }
            Entry::Vacant(entry) => {
                let before = self.forgotten.remove(entry.key()).map(|(_, token)| Row::forgotten(token));
                let (row, outcome) = Row::claim(before, owner, now, lease);
                drop(entry.insert(Touched::new(row, now)));
                (outcome, true)
            }
        };
        if is_new && self.budget.spend() {
            self.sweep(now);
        }
        outcome
    }

    pub(super) fn renew(&self, id: &str, held: Ownership, lease: Duration) -> bool {
        self.step(id, |row, now| row.renew(held, now, lease))
    }

    pub(super) fn complete(&self, id: &str, held: Ownership) -> bool {
        self.step(id, |row, _| row.complete(held))
    }

    /// Completes the claim, and keeps its reply for `keep`.
    #[cfg(feature = "replay")]
    pub(super) fn complete_with_reply(
        &self,
        id: &str,
        held: Ownership,
        stored: &[u8],
        keep: Duration,
    ) -> bool {
        let now = self.now();
        let until = now.saturating_add(keep);
        self.rows.get_mut(&Key::new(id)).is_some_and(|mut touched| {
            let is_completed = touched.row.complete(held);
            if is_completed {
                touched.at = now;
                touched.reply = Some(Box::new(Reply { stored: stored.into(), until }));
            }
            is_completed
        })
    }

    /// The reply of a processed event, unless it has expired. What has expired is deleted.
    #[cfg(feature = "replay")]
    pub(super) fn kept_reply(&self, id: &str) -> Option<Vec<u8>> {
        let now = self.now();
        let kept =
            self.rows.get(&Key::new(id))?.reply.as_ref().map(|reply| (reply.until, reply.stored.to_vec()));
        let (until, stored) = kept?;
        if until > now {
            return Some(stored);
        }
        self.delete_expired_reply(id, now);
        None
    }

    #[cfg(feature = "replay")]
    fn delete_expired_reply(&self, id: &str, now: Time) {
        if let Some(mut touched) = self.rows.get_mut(&Key::new(id))
            && !touched.has_reply(now)
        {
            touched.reply = None;
        }
    }

    /// How long the reply of an event is kept, counted as [`Time`]; a reply that has expired may still be there.
    pub(super) fn reply_until(&self, id: &str) -> Option<Time> {
        self.rows.get(&Key::new(id))?.reply.as_ref().map(|reply| reply.until)
    }

    pub(super) fn delete_reply(&self, id: &str) {
        if let Some(mut touched) = self.rows.get_mut(&Key::new(id)) {
            touched.reply = None;
        }
    }

    /// Deletes the replies that have expired, and returns their number.
    pub(super) fn purge_replies(&self) -> u64 {
        let now = self.now();
        let mut deleted = 0;
        for mut entry in self.rows.iter_mut() {
            if entry.reply.is_some() && !entry.has_reply(now) {
                entry.reply = None;
                deleted += 1;
            }
        }
        deleted
    }

    pub(super) fn release(&self, id: &str, held: Ownership) -> bool {
        self.step(id, |row, _| row.release(held))
    }

    pub(super) fn withdraw(&self, id: &str, held: Ownership) -> bool {
        self.step(id, |row, _| row.withdraw(held))
    }

    fn step(&self, id: &str, step: impl FnOnce(&mut Row, Time) -> bool) -> bool {
        let now = self.now();
        self.rows.get_mut(&Key::new(id)).is_some_and(|mut touched| {
            touched.at = now;
            step(&mut touched.row, now)
        })
    }

    /// The row of an event and the time of its last change, whether it still counts or not.
    pub(super) fn row(&self, id: &str) -> Option<(Row, Time)> {
        self.rows.get(&Key::new(id)).map(|touched| (touched.row, touched.at))
    }

    /// The row of an event that is not marked, and the time that its lease has left.
    pub(super) fn unmarked_row(&self, id: &str) -> Option<(Row, Time, Duration)> {
        let now = self.now();
        let touched = self.rows.get(&Key::new(id)).filter(|touched| !self.is_forgotten(touched, now))?;
        let left = match touched.row.state {
            State::Claimed { lease_until } => lease_until.saturating_sub(now),
            State::Released | State::Processed => Duration::ZERO,
        };
        Some((touched.row, touched.at, left))
    }

    /// Gives the row to `owner` in this state, if it is still held like that and `was` holds for its state.
    pub(super) fn change(
        &self,
        id: &str,
        seen: Ownership,
        was: impl Fn(State) -> bool,
        owner: Owner,
        state: State,
    ) -> bool {
        let now = self.now();
        let changed = |mut touched: RefMut<'_, Key, Touched>| {
            let is_as_seen = touched.row.held == seen && was(touched.row.state);
            if is_as_seen {
                let held = Ownership { owner, token: seen.token };
                *touched = Touched::new(Row { held, state }, now);
            }
            is_as_seen
        };
        self.rows.get_mut(&Key::new(id)).is_some_and(changed)
    }

    /// Keeps the fencing token of an event from falling whose row was swept. Called under the event's lock in `seen`.
    pub(super) fn forget_swept(&self, id: &str) {
        let swept = self.swept.load(Ordering::Relaxed);
        if swept > 0 {
            self.forgotten.insert(Key::new(id), swept);
        }
    }

    /// The keys of all events that have a row.
    pub(super) fn each_key(&self, mut each: impl FnMut(&[u8])) {
        self.rows.iter().for_each(|entry| each(entry.key().as_bytes()));
    }

    fn sweep(&self, now: Time) {
        self.rows.retain(|_, touched| match touched.row.state {
            State::Processed => {
                if !touched.has_reply(now) {
                    touched.reply = None;
                }
                let stays = touched.reply.is_some() || now.saturating_sub(touched.at) < COMPLETED;
                if !stays {
                    self.swept.fetch_max(touched.row.held.token, Ordering::Relaxed);
                }
                stays
            }
            _ => !self.is_forgotten(touched, now),
        });
        self.budget.refill(self.rows.len());
    }

    /// Whether the row of an event without a mark no longer counts. If a processed row has no mark, the
    /// retention has removed it.
    fn is_forgotten(&self, touched: &Touched, now: Time) -> bool {
        match touched.row.state {
            State::Processed => true,
            State::Claimed { lease_until } if lease_until > now => false,
            State::Claimed { .. } | State::Released => {
                self.retention.is_some_and(|retention| now.saturating_sub(touched.at) >= retention)
            }
        }
    }

    /// Called before a row is locked.
    fn now(&self) -> Time {
        #[cfg(test)]
        super::histories::dawdle();
        self.start.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::super::sweep::SMALLEST;
    use super::*;

    const LEASE: Duration = Duration::from_mins(1);
    const HOUR: Duration = Duration::from_hours(1);
    const SHORT: Duration = Duration::from_millis(1);

    fn owner(number: u8) -> Owner {
        Owner::from_bytes([number; 16])
    }

    fn held(number: u8, token: u64) -> Ownership {
        Ownership { owner: owner(number), token }
    }

    fn claim(claims: &Claims, id: &str, number: u8, lease: Duration) -> ClaimOutcome {
        claims.announce();
        claims.claim(id, owner(number), lease)
    }

    #[tokio::test(start_paused = true)]
    async fn a_fencing_token_is_kept_for_the_retention() {
        let claims = Claims::new(Some(HOUR));
        assert_eq!(claim(&claims, "evt_1", 1, LEASE), ClaimOutcome::Acquired { token: 1 });
        assert!(claims.release("evt_1", held(1, 1)));
        advance(HOUR.saturating_sub(SHORT)).await;
        assert!(claims.has("evt_1"));
        assert_eq!(claim(&claims, "evt_1", 2, LEASE), ClaimOutcome::Acquired { token: 2 });
        advance(HOUR).await;
        assert!(!claims.has("evt_1"));
        assert_eq!(claim(&claims, "evt_1", 3, LEASE), ClaimOutcome::Acquired { token: 1 });
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_is_longer_than_the_retention_where_it_says_so() {
        let claims = Claims::new(Some(HOUR));
        claim(&claims, "evt_1", 1, HOUR * 3);
        claim(&claims, "evt_2", 1, HOUR);
        advance(HOUR).await;
        assert!(claims.has("evt_1"));
        assert!(matches!(claim(&claims, "evt_1", 2, LEASE), ClaimOutcome::InProgress { .. }));
        assert_eq!(claim(&claims, "evt_2", 2, LEASE), ClaimOutcome::Acquired { token: 1 }, "it is over");
    }

    #[tokio::test(start_paused = true)]
    async fn a_sweep_takes_what_is_forgotten_and_leaves_what_is_not() {
        let claims = Claims::new(Some(HOUR));
        claim(&claims, "released", 1, LEASE);
        claims.release("released", held(1, 1));
        claim(&claims, "live", 1, HOUR * 3);
        advance(HOUR.saturating_sub(COMPLETED)).await;
        for processed in ["long ago", "a moment ago"] {
            claim(&claims, processed, 1, LEASE);
        }
        assert!(claims.complete("long ago", held(1, 1)));
        advance(SHORT).await;
        assert!(claims.complete("a moment ago", held(1, 1)));
        advance(COMPLETED.saturating_sub(SHORT)).await;
        for number in 0..SMALLEST {
            claim(&claims, &format!("evt_{number}"), 1, LEASE);
        }
        assert!(claims.has("live"));
        assert!(claims.complete("a moment ago", held(1, 1)), "its reply may have been lost");
        assert!(!claims.complete("long ago", held(1, 1)));
        assert!(!claims.rows.contains_key(&Key::new("released")));
        assert!(claims.has("evt_0"));
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_that_is_forgotten_after_its_row_was_swept_keeps_its_token() {
        let claims = Claims::new(None);
        claim(&claims, "evt_old", 1, LEASE);
        assert!(claims.release("evt_old", held(1, 1)));
        assert_eq!(claim(&claims, "evt_old", 2, LEASE), ClaimOutcome::Acquired { token: 2 });
        assert!(claims.complete("evt_old", held(2, 2)));
        advance(COMPLETED).await;
        for number in 0..SMALLEST {
            claim(&claims, &format!("evt_{number}"), 1, LEASE);
        }
        assert!(claims.row("evt_old").is_none(), "it was not swept");
        claims.forget_swept("evt_old");
        assert!(!claims.has("evt_old"), "a fence would take it for seen");
        assert_eq!(claim(&claims, "evt_old", 3, LEASE), ClaimOutcome::Acquired { token: 3 });
    }
}
