//! The marks that are to be taken back.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::event_state::Mark;

/// The marks of one log that are being taken back. Beyond that, the log makes no new marks until the database
/// is back, so that each mark without a caller can be taken back.
const MAX_MARKS: usize = 65_536;

/// A worker that was not active for so long has a runtime that is not driven.
const MAX_INACTIVE: Duration = Duration::from_secs(30);

/// Marks without a caller, until it is known that they do not exist.
#[derive(Debug, Default)]
pub(super) struct UnmarkQueue(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    marks: VecDeque<LeftMark>,
    worker_active_at: Option<Instant>,
}

/// A mark without a caller.
#[derive(Clone, Debug)]
pub(super) struct LeftMark {
    pub(super) mark: Mark,
    /// The mark may still be made until then, by a statement that got no answer.
    pub(super) may_be_made_until: Instant,
}

impl UnmarkQueue {
    /// A panic cannot leave it half-changed.
    fn locked(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, marks: impl IntoIterator<Item = LeftMark>) {
        self.locked().marks.extend(marks);
    }

    pub(super) fn has_room(&self) -> bool {
        self.locked().marks.len() < MAX_MARKS
    }

    /// Whether the caller has to start a worker now.
    pub(super) fn needs_worker(&self) -> bool {
        let now = Instant::now();
        let mut inner = self.locked();
        let is_active =
            inner.worker_active_at.is_some_and(|at| now.saturating_duration_since(at) < MAX_INACTIVE);
        let needs_worker = !inner.marks.is_empty() && !is_active;
        if needs_worker {
            inner.worker_active_at = Some(now);
        }
        needs_worker
    }

    /// The worker's next marks. Empty: it has ended.
    pub(super) fn take(&self, max: usize) -> Vec<LeftMark> {
        let mut inner = self.locked();
        let count = inner.marks.len().min(max);
        inner.worker_active_at = (count > 0).then(Instant::now);
        inner.marks.drain(..count).collect()
    }

    pub(super) fn end_worker(&self) {
        self.locked().worker_active_at = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::owner::Owner;

    fn left() -> LeftMark {
        let mark = Mark { id: "evt_1".into(), event_type: "".into(), owner: Owner::from_bytes([1; 16]) };
        LeftMark { mark, may_be_made_until: Instant::now() }
    }

    #[tokio::test(start_paused = true)]
    async fn one_worker_takes_marks_back_and_a_lost_one_is_replaced() {
        let queue = UnmarkQueue::default();
        assert!(!queue.needs_worker(), "there is nothing to do");
        queue.push([left(), left(), left()]);
        assert!(queue.needs_worker() && !queue.needs_worker());
        assert_eq!(queue.take(2).len(), 2);
        tokio::time::advance(MAX_INACTIVE).await;
        assert!(queue.needs_worker(), "the first one was not polled for long");
        queue.end_worker();
        assert!(queue.needs_worker(), "the second one was dropped");
        assert_eq!((queue.take(2).len(), queue.take(2).len()), (1, 0));
        assert!(!queue.needs_worker());
    }

    #[test]
    fn the_marks_are_bounded() {
        let queue = UnmarkQueue::default();
        queue.push(std::iter::repeat_n(left(), MAX_MARKS - 1));
        assert!(queue.has_room());
        queue.push([left()]);
        assert!(!queue.has_room());
    }
}
