//! The marks that are to be taken back.
//!
//! A delivery of an event whose mark waits here takes the mark over: it goes on with that mark's owner, as if it
//! repeated the request, and is first. That is safe only as long as no statement that deletes the mark can still be
//! carried out: otherwise it would delete a mark that was acknowledged, and the event would run twice. So the mark of a
//! statement that was sent and got no answer is never taken over, and deliveries of its event wait until it is gone.

use std::collections::{BTreeMap, HashMap};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::event_state::Mark;
use crate::owner::Owner;

/// The marks of one log that are being taken back. Beyond that, the log makes no new marks until the database
/// is back, so that each mark without a caller can be taken back.
const MAX_MARKS: usize = 65_536;

/// How long a server that stood still has to be awake, until it has carried out what was sent to it. A statement whose
/// deadline the server has already checked is not stopped by it.
const AWAKE_FOR: Duration = Duration::from_secs(3);

/// A worker that was not active for so long has a runtime that is not driven.
const MAX_INACTIVE: Duration = Duration::from_secs(30);

/// Marks without a caller, until a delivery takes them over or it is known that they do not exist.
#[derive(Debug, Default)]
pub(super) struct UnmarkQueue {
    inner: Mutex<Inner>,
    /// How many there are. Each mark looks here first.
    len: AtomicUsize,
    /// Marks are gone, or wait again.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    /// In the order in which they are due.
    marks: BTreeMap<Place, LeftMark>,
    places: HashMap<Arc<str>, Vec<Place>>,
    last_number: u64,
    worker_active_at: Option<Instant>,
    /// The server may have stood still until then.
    stood_still_until: Option<Instant>,
}

/// Where a mark is in the queue: when it is taken back next, and a number of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(Instant, u64);

/// A mark without a caller.
#[derive(Clone, Debug)]
struct LeftMark {
    mark: Mark,
    /// Until then the mark may still be made, by a statement that got no answer. `None`: it is made.
    may_be_made_until: Option<Instant>,
    /// The statement that deletes it is at the database.
    is_sent: bool,
    /// Such a statement got no answer, and may be carried out at any time.
    may_be_deleted_later: bool,
}

/// What a delivery of an event does.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    GoOn,
    /// Go on with this owner, whose mark may exist.
    TakeOver(Owner),
    Wait,
}

/// What became of a statement that deletes marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unmarked {
    /// Those are gone that were not made after its begin.
    Since(Instant),
    NotCarriedOut,
    Unanswered,
}

/// What the worker does next.
#[derive(Debug)]
pub(super) enum Due {
    Marks(Vec<(Place, Mark)>),
    NotBefore(Instant),
    /// There are no marks. The worker has ended.
    Never,
}

impl UnmarkQueue {
    /// A panic cannot leave it half-changed.
    fn locked(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        let mut inner = self.locked();
        let changed = change(&mut inner);
        self.len.store(inner.marks.len(), Ordering::Release);
        drop(inner);
        changed
    }

    /// `may_be_made_until`: if the statement that makes it got no answer, the server's deadline for it.
    pub(super) fn push(&self, mark: Mark, may_be_made_until: Option<Instant>) {
        let left = LeftMark { mark, may_be_made_until, is_sent: false, may_be_deleted_later: false };
        self.change(|inner| inner.insert(left, Instant::now()));
    }

    pub(super) fn has_room(&self) -> bool {
        self.len.load(Ordering::Acquire) < MAX_MARKS
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len.load(Ordering::Acquire) == 0
    }

    /// What a delivery of the event does next. A mark that it is to take over is its own from here on. One that may
    /// have made a mark itself takes no other one over.
    pub(super) fn next_of(&self, id: &str, is_in_doubt: bool) -> Next {
        if self.is_empty() {
            return Next::GoOn;
        }
        self.change(|inner| match is_in_doubt {
            true if inner.places.contains_key(id) => Next::Wait,
            true => Next::GoOn,
            false => inner.next_of(id),
        })
    }

    /// The owner of the event's mark in the queue, if there is one: it is the caller's now. Waits as long as the mark is
    /// being deleted, or may be deleted later.
    ///
    /// Dropped, it has taken nothing over.
    pub(super) async fn take_over(&self, id: &str) -> Option<Owner> {
        loop {
            if self.is_empty() {
                return None;
            }
            let mut changed = pin!(self.changed.notified());
            // From here on, no change is missed.
            changed.as_mut().enable();
            match self.next_of(id, false) {
                Next::GoOn => return None,
                Next::TakeOver(owner) => return Some(owner),
                Next::Wait => changed.await,
            }
        }
    }

    /// Whether the caller has to start a worker now.
    pub(super) fn needs_worker(&self) -> bool {
        if self.is_empty() {
            return false;
        }
        let now = Instant::now();
        let mut inner = self.locked();
        let is_active =
            inner.worker_active_at.is_some_and(|at| now.saturating_duration_since(at) < MAX_INACTIVE);
        let needs_worker = !inner.marks.is_empty() && !is_active;
        if needs_worker {
            inner.give_up_statements();
            inner.worker_active_at = Some(now);
        }
        needs_worker
    }

    /// The marks of the worker's next statement.
    pub(super) fn take(&self, max: usize) -> Due {
        let now = Instant::now();
        let mut inner = self.locked();
        let Some(&Place(first, _)) = inner.marks.keys().next() else {
            inner.worker_active_at = None;
            return Due::Never;
        };
        inner.worker_active_at = Some(now);
        let due = inner.marks.iter_mut().take_while(|(place, _)| place.0 <= now);
        let waiting = due.filter(|(_, left)| !left.is_sent).take(max);
        let taken: Vec<_> = waiting
            .map(|(place, left)| {
                left.is_sent = true;
                (*place, left.mark.clone())
            })
            .collect();
        if taken.is_empty() { Due::NotBefore(first) } else { Due::Marks(taken) }
    }

    /// The server may have stood still until now. What it has not carried out by then may still come.
    pub(super) fn server_stood_still(&self) {
        self.locked().stood_still_until = Some(Instant::now());
    }

    /// What became of the worker's statement. What is left is due then.
    pub(super) fn put_back(&self, taken: &[(Place, Mark)], unmarked: Unmarked, due: Instant) {
        self.change(|inner| taken.iter().for_each(|(place, _)| inner.put_back(*place, unmarked, due)));
        self.changed.notify_waiters();
    }

    /// The worker was dropped. Its statement may be carried out.
    pub(super) fn end_worker(&self) {
        let mut inner = self.locked();
        inner.give_up_statements();
        inner.worker_active_at = None;
    }
}

impl Inner {
    fn insert(&mut self, left: LeftMark, due: Instant) {
        self.last_number += 1;
        let place = Place(due, self.last_number);
        self.places.entry(Arc::clone(&left.mark.id)).or_default().push(place);
        self.marks.insert(place, left);
    }

    fn remove(&mut self, place: Place) -> Option<LeftMark> {
        let left = self.marks.remove(&place)?;
        if let Some(places) = self.places.get_mut(&left.mark.id) {
            places.retain(|other| *other != place);
            if places.is_empty() {
                self.places.remove(&left.mark.id);
            }
        }
        Some(left)
    }

    fn next_of(&mut self, id: &str) -> Next {
        let Some(places) = self.places.get(id) else { return Next::GoOn };
        // Of several, it is not known which one is in the table.
        let &[place] = places.as_slice() else { return Next::Wait };
        match self.marks.get(&place) {
            Some(left) if left.is_sent || left.may_be_deleted_later => Next::Wait,
            _ => self.remove(place).map_or(Next::GoOn, |left| Next::TakeOver(left.mark.owner)),
        }
    }

    fn put_back(&mut self, place: Place, unmarked: Unmarked, due: Instant) {
        let Some(mut left) = self.remove(place) else { return };
        let is_gone = match unmarked {
            Unmarked::Since(begun) => self.was_made_before(begun, &left),
            Unmarked::NotCarriedOut | Unmarked::Unanswered => false,
        };
        if !is_gone {
            left.is_sent = false;
            left.may_be_deleted_later |= unmarked == Unmarked::Unanswered;
            self.insert(left, due);
        }
    }

    /// Whether the mark was made before that moment, or never will be.
    fn was_made_before(&self, moment: Instant, left: &LeftMark) -> bool {
        let Some(deadline) = left.may_be_made_until else { return true };
        let awake = self.stood_still_until.map(|until| until + AWAKE_FOR);
        deadline <= moment && awake.is_none_or(|awake| awake <= moment)
    }

    fn give_up_statements(&mut self) {
        for left in self.marks.values_mut().filter(|left| left.is_sent) {
            left.is_sent = false;
            left.may_be_deleted_later = true;
        }
    }
}

#[cfg(test)]
#[path = "unmark_queue_tests.rs"]
mod tests;
