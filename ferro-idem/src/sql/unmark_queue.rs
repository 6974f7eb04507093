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
}

/// Where a mark is in the queue: when it is taken back next, and a number of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(Instant, u64);

/// A mark without a caller.
#[derive(Clone, Debug)]
struct LeftMark {
    mark: Mark,
    /// The mark may still be made until then, by a statement that got no answer.
    may_be_made_until: Instant,
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

    pub(super) fn push(&self, mark: Mark, may_be_made_until: Instant) {
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
        let is_gone = matches!(unmarked, Unmarked::Since(begun) if left.may_be_made_until <= begun);
        if !is_gone {
            left.is_sent = false;
            left.may_be_deleted_later |= unmarked == Unmarked::Unanswered;
            self.insert(left, due);
        }
    }

    fn give_up_statements(&mut self) {
        for left in self.marks.values_mut().filter(|left| left.is_sent) {
            left.is_sent = false;
            left.may_be_deleted_later = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::poll;

    use super::*;

    fn mark(id: &str, owner: u8) -> Mark {
        Mark { id: id.into(), event_type: "".into(), owner: Owner::from_bytes([owner; 16]) }
    }

    fn owner(byte: u8) -> Owner {
        Owner::from_bytes([byte; 16])
    }

    /// The marks that are due.
    fn take(queue: &UnmarkQueue, max: usize) -> Vec<(Place, Mark)> {
        match queue.take(max) {
            Due::Marks(taken) => taken,
            Due::NotBefore(_) | Due::Never => Vec::new(),
        }
    }

    fn put_back(queue: &UnmarkQueue, taken: &[(Place, Mark)], unmarked: Unmarked) {
        queue.put_back(taken, unmarked, Instant::now());
    }

    #[tokio::test(start_paused = true)]
    async fn one_worker_takes_marks_back_and_a_lost_one_is_replaced() {
        let queue = UnmarkQueue::default();
        assert!(!queue.needs_worker(), "there is nothing to do");
        (0..3).for_each(|number| queue.push(mark("evt_1", number), Instant::now()));
        assert!(queue.needs_worker() && !queue.needs_worker());
        assert_eq!(take(&queue, 2).len(), 2);
        tokio::time::advance(MAX_INACTIVE).await;
        assert!(queue.needs_worker(), "the first one was not polled for long");
        queue.end_worker();
        assert!(queue.needs_worker(), "the second one was dropped");
        let (two, one) = (take(&queue, 2), take(&queue, 2));
        assert_eq!((two.len(), one.len()), (2, 1));
        put_back(&queue, &two, Unmarked::Since(Instant::now()));
        put_back(&queue, &one, Unmarked::Since(Instant::now()));
        assert!(matches!(queue.take(2), Due::Never) && !queue.needs_worker());
    }

    #[tokio::test(start_paused = true)]
    async fn marks_that_are_not_due_keep_no_others_waiting() {
        let queue = UnmarkQueue::default();
        let soon = Instant::now() + Duration::from_secs(1);
        queue.push(mark("evt_1", 1), Instant::now());
        let locked = take(&queue, 1);
        queue.put_back(&locked, Unmarked::NotCarriedOut, soon);
        assert!(matches!(queue.take(1), Due::NotBefore(due) if due == soon));
        queue.push(mark("evt_2", 2), Instant::now());
        assert_eq!(&*take(&queue, 2)[0].1.id, "evt_2");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(&*take(&queue, 2)[0].1.id, "evt_1");
    }

    #[test]
    fn the_marks_are_bounded() {
        let queue = UnmarkQueue::default();
        (1..MAX_MARKS).for_each(|_| queue.push(mark("evt_1", 1), Instant::now()));
        assert!(queue.has_room());
        queue.push(mark("evt_1", 1), Instant::now());
        assert!(!queue.has_room());
    }

    #[tokio::test]
    async fn a_delivery_takes_a_mark_over_that_waits() {
        let queue = UnmarkQueue::default();
        queue.push(mark("evt_1", 1), Instant::now());
        assert_eq!(queue.take_over("evt_2").await, None);
        assert_eq!(queue.take_over("evt_1").await, Some(owner(1)));
        assert_eq!(queue.take_over("evt_1").await, None, "it is the other's");
        assert!(take(&queue, 1).is_empty(), "nothing deletes it any more");
    }

    #[tokio::test]
    async fn a_delivery_waits_while_the_mark_is_being_deleted() {
        let queue = UnmarkQueue::default();
        queue.push(mark("evt_1", 1), Instant::now() + Duration::from_secs(7));
        let taken = take(&queue, 1);
        let mut next = pin!(queue.take_over("evt_1"));
        assert!(poll!(&mut next).is_pending());
        put_back(&queue, &taken, Unmarked::Since(Instant::now()));
        assert_eq!(next.await, Some(owner(1)));
        queue.push(mark("evt_1", 2), Instant::now());
        let taken = take(&queue, 1);
        let mut next = pin!(queue.take_over("evt_1"));
        assert!(poll!(&mut next).is_pending());
        put_back(&queue, &taken, Unmarked::Since(Instant::now()));
        assert_eq!(next.await, None);
    }

    #[tokio::test]
    async fn a_mark_that_may_be_deleted_later_is_not_taken_over() {
        for is_dropped in [false, true] {
            let queue = UnmarkQueue::default();
            queue.push(mark("evt_1", 1), Instant::now() + Duration::from_secs(7));
            let taken = take(&queue, 1);
            if is_dropped {
                queue.end_worker();
            } else {
                put_back(&queue, &taken, Unmarked::Unanswered);
            }
            let mut next = pin!(queue.take_over("evt_1"));
            assert!(poll!(&mut next).is_pending());
            // The earlier statement may still be at the server.
            let taken = take(&queue, 1);
            put_back(&queue, &taken, Unmarked::Since(Instant::now()));
            assert!(poll!(&mut next).is_pending());
            let taken = take(&queue, 1);
            put_back(&queue, &taken, Unmarked::NotCarriedOut);
            assert!(poll!(&mut next).is_pending());
            let taken = take(&queue, 1);
            let later = Instant::now() + Duration::from_secs(8);
            put_back(&queue, &taken, Unmarked::Since(later));
            assert_eq!(next.await, None);
        }
    }

    #[test]
    fn a_delivery_that_may_have_made_a_mark_takes_no_other_one_over() {
        let queue = UnmarkQueue::default();
        queue.push(mark("evt_1", 1), Instant::now());
        assert_eq!(queue.next_of("evt_1", true), Next::Wait);
        assert_eq!(queue.next_of("evt_2", true), Next::GoOn);
        assert_eq!(queue.next_of("evt_1", false), Next::TakeOver(owner(1)));
        assert_eq!(queue.next_of("evt_1", true), Next::GoOn);
    }

    #[tokio::test]
    async fn a_delivery_waits_until_one_mark_is_left() {
        let queue = UnmarkQueue::default();
        queue.push(mark("evt_1", 1), Instant::now());
        queue.push(mark("evt_1", 2), Instant::now());
        let mut next = pin!(queue.take_over("evt_1"));
        assert!(poll!(&mut next).is_pending());
        let taken = take(&queue, 1);
        put_back(&queue, &taken, Unmarked::Since(Instant::now()));
        assert_eq!(next.await, Some(owner(2)));
    }
}
