//! Takes back marks whose callers did not get the answer, in one task for each log.
//!
//! Goes on until each mark is known to be gone, as long as the process lives: through an outage of the
//! database, and as long as a statement without an answer may still be carried out. If the process dies
//! before that, the mark stays, and its event counts as seen.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::clock::{in_background, pause};
use crate::retry::Attempts;
use crate::sql::core::Core;
use crate::sql::dialect::Dialect;
use crate::sql::event_state::Mark;
use crate::sql::request::UnmarkEvents;
use crate::sql::session::Session;
use crate::sql::unmark_queue::{Due, Place, Unmarked};

/// A margin for statements that were sent shortly before they were given up, beside their deadline at the server.
const MARGIN: Duration = Duration::from_secs(3);

/// The marks of one statement.
const MAX_MARKS: usize = 256;

/// A server that takes longer may have stood still.
const AWAKE: Duration = Duration::from_secs(1);

const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// Short: until the mark is gone, a delivery that reaches another process is answered as its duplicate.
const MAX_PAUSE: Duration = Duration::from_millis(250);

/// Takes a mark back. `is_in_doubt`: it may not exist yet, because its statement got no answer.
pub(in crate::sql) fn take_back<D: Dialect>(core: &Arc<Core<D>>, mark: Mark, is_in_doubt: bool) {
    let may_be_made_until = is_in_doubt.then(|| Instant::now() + D::SERVER_DEADLINE + MARGIN);
    core.unmark_queue().push(mark, may_be_made_until);
    ensure_worker(core);
}

/// Starts the worker, if marks wait for one: the last one may have ended with its runtime.
pub(super) fn ensure_worker<D: Dialect>(core: &Arc<Core<D>>) {
    if core.unmark_queue().needs_worker() {
        in_background(work(Worker { core: Arc::clone(core), has_ended: false }));
    }
}

/// Dropped with its runtime, it leaves its marks to the next worker.
struct Worker<D: Dialect> {
    core: Arc<Core<D>>,
    has_ended: bool,
}

impl<D: Dialect> Drop for Worker<D> {
    fn drop(&mut self) {
        if !self.has_ended {
            self.core.unmark_queue().end_worker();
        }
    }
}

async fn work<D: Dialect>(mut worker: Worker<D>) {
    let mut next_pause = FIRST_PAUSE;
    let mut max = MAX_MARKS;
    loop {
        let queue = worker.core.unmark_queue();
        let taken = match queue.take(max) {
            Due::Marks(taken) => taken,
            Due::NotBefore(due) => {
                // New marks are due at once.
                pause(due.saturating_duration_since(Instant::now()).min(FIRST_PAUSE)).await;
                continue;
            }
            Due::Never => {
                worker.has_ended = true;
                return;
            }
        };
        let (unmarked, is_about_one_event) = unmark(&worker.core, &taken).await;
        let now = Instant::now();
        match unmarked {
            Unmarked::Since(_) => {
                queue.put_back(&taken, unmarked, now + MAX_PAUSE);
                next_pause = FIRST_PAUSE;
                max = (max * 2).min(MAX_MARKS);
            }
            // One of them is locked: the others go through without it.
            _ if is_about_one_event && taken.len() > 1 => {
                queue.put_back(&taken, unmarked, now);
                max = (taken.len() / 4).max(1);
            }
            _ if is_about_one_event => queue.put_back(&taken, unmarked, now + MAX_PAUSE),
            _ => {
                queue.put_back(&taken, unmarked, now);
                pause(next_pause).await;
                next_pause = (next_pause * 2).min(MAX_PAUSE);
            }
        }
    }
}

/// Sends one attempt, so that it is known of each statement whether it may be carried out later. Also returns whether
/// one of the marks may have kept the others.
async fn unmark<D: Dialect>(core: &Arc<Core<D>>, taken: &[(Place, Mark)]) -> (Unmarked, bool) {
    let begun = Instant::now();
    let marks: Vec<&Mark> = taken.iter().map(|(_, mark)| mark).collect();
    let (unmarked, is_about_one_event) =
        match Session::for_caller(core).send_after(&mut Attempts::once(), &UnmarkEvents(&marks)).await {
            Ok(()) => (Unmarked::Since(begun), false),
            Err(failed) if failed.may_be_carried_out() => (Unmarked::Unanswered, failed.is_about_one_event()),
            Err(failed) => (Unmarked::NotCarriedOut, failed.is_about_one_event()),
        };
    let is_awake = match unmarked {
        Unmarked::Since(_) => begun.elapsed() < AWAKE,
        // It says that a row is locked.
        Unmarked::NotCarriedOut => is_about_one_event,
        Unmarked::Unanswered => false,
    };
    if !is_awake {
        core.unmark_queue().server_stood_still();
    }
    (unmarked, is_about_one_event)
}
