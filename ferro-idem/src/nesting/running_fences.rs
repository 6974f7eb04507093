//! The fenced bodies that run in this process, with the task of each.
//!
//! Nothing of this crate runs when a fenced body is polled, so that we cannot see which bodies are around a
//! call. A task runs one body at a time, except where it joins several futures. Therefore another handler that
//! finds the event marked is refused only if the body in its own task belongs to another handler. Two joined
//! deliveries of one handler are never refused.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::task;

use super::{EventPrint, Frame, Handler, POLLED};

/// Bodies of different events seldom wait for each other.
const SHARDS: usize = 64;

static RUNNING: [Mutex<Vec<Running>>; SHARDS] = [const { Mutex::new(Vec::new()) }; SHARDS];

struct Running {
    frame: Frame,
    task: Task,
}

/// What polls a body, as long as it runs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Task {
    Tokio(task::Id),
    /// `block_on`, or another runtime: the address of a variable of this thread.
    Thread(usize),
}

impl Task {
    #[inline]
    fn current() -> Self {
        task::try_id().map_or_else(|| POLLED.with(|polled| Self::Thread(polled.as_ptr().addr())), Self::Tokio)
    }
}

fn shard(event: EventPrint) -> MutexGuard<'static, Vec<Running>> {
    #[expect(clippy::cast_possible_truncation, reason = "any bits of a hash will do")]
    let index = event.0.get() as usize % SHARDS;
    #[expect(clippy::indexing_slicing, reason = "a remainder is less than its divisor")]
    RUNNING[index].lock().unwrap_or_else(PoisonError::into_inner)
}

/// Another handler whose fenced body has this event in the current task.
pub(super) fn other_handler(Frame { event, handler }: Frame) -> Option<Handler> {
    let task = Task::current();
    shard(event)
        .iter()
        .find(|outer| outer.frame.event == event && outer.frame.handler != handler && outer.task == task)
        .map(|outer| outer.frame.handler)
}

/// A fenced body that runs, until this is dropped.
#[must_use = "the body runs for as long as this exists"]
pub(crate) struct FencedBody(Frame);

impl FencedBody {
    #[inline]
    pub(crate) fn new(frame: Frame) -> Self {
        if frame.event.is_known() {
            shard(frame.event).push(Running { frame, task: Task::current() });
        }
        Self(frame)
    }
}

impl Drop for FencedBody {
    #[inline]
    fn drop(&mut self) {
        let Self(frame) = *self;
        if frame.event.is_known() {
            let mut running = shard(frame.event);
            if let Some(position) = running.iter().position(|running| running.frame == frame) {
                running.swap_remove(position);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Site, StoreId};
    use super::*;

    const SHIP: Handler = &Site { name: "shop::ship", line: 1 };
    const MAIL: Handler = &Site { name: "shop::mail", line: 2 };

    fn frame(handler: Handler, key: &str) -> Frame {
        Frame::new(StoreId::of(&1_u8), key, handler).unwrap()
    }

    #[test]
    fn a_body_holds_its_event_in_its_own_task_until_it_ends() {
        let body = FencedBody::new(frame(SHIP, "evt_1"));
        assert_eq!(other_handler(frame(MAIL, "evt_1")), Some(SHIP));
        assert_eq!(other_handler(frame(SHIP, "evt_1")), None, "a joined delivery of the same handler");
        assert_eq!(other_handler(frame(MAIL, "evt_2")), None, "another event");
        let elsewhere = std::thread::spawn(|| other_handler(frame(MAIL, "evt_1"))).join().unwrap();
        assert_eq!(elsewhere, None, "another task");
        drop(body);
        assert_eq!(other_handler(frame(MAIL, "evt_1")), None);
    }
}
