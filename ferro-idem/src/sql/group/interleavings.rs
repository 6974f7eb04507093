//! The queue and its leader in thousands of orders, each by the real code, without a database.
//!
//! Shuttle and not loom: between the queue's locks are tokio's channels and its semaphore, which loom cannot
//! see into, and which need not be explored here; shuttle runs them as they are, and chooses who goes
//! next at each lock and each wait. It tries orders at random, by a seed that it prints. The leader's task is one
//! of shuttle's, and where a runtime is to shut down, it is dropped in the middle of whatever it did.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::task::Poll;

use futures_util::future::{join_all, poll_fn};
use shuttle::future::{JoinHandle, block_on, spawn, yield_now};
use shuttle::rand::{Rng, thread_rng};
use tokio::sync::oneshot;

use super::{BatchAnswer, BatchRequest, Follower, Group, send_in_batch};
use crate::retry::Attempt;

const ORDERS: usize = 2_000;
/// Two more than there is room for.
const CALLERS: usize = 5;

thread_local! {
    /// Whether the runtime of a leader's task may shut down. Shuttle runs all tasks of an order on one thread.
    static RUNTIMES_END: Cell<bool> = const { Cell::new(false) };
}

/// What shuttle has in place of a task of tokio's.
pub(super) fn in_background(work: impl Future<Output = ()> + Send + 'static) {
    if !RUNTIMES_END.get() {
        drop(spawn(work));
        return;
    }
    match thread_rng().gen_range(0..8) {
        0 => drop(work),
        polls => drop(spawn(drop_after(polls, work))),
    }
}

/// Answers each request with itself.
#[derive(Clone, Default)]
struct Echo {
    group: Arc<Group<usize, usize>>,
    is_carrying_out: Arc<AtomicBool>,
    carried_out: Arc<AtomicUsize>,
}

struct CarryingOut<'a>(&'a AtomicBool);

impl<'a> CarryingOut<'a> {
    fn begin(flag: &'a AtomicBool) -> Self {
        assert!(!flag.swap(true, SeqCst), "two statements of one kind are under way");
        Self(flag)
    }
}

impl Drop for CarryingOut<'_> {
    fn drop(&mut self) {
        self.0.store(false, SeqCst);
    }
}

impl BatchRequest<Echo> for usize {
    type Answer = Self;

    async fn send_batch(
        log: &mut Echo,
        _: &Arc<Group<Self, Self>>,
        batch: Vec<Follower<Self, Self>>,
    ) -> Vec<Follower<Self, Self>> {
        let _alone = CarryingOut::begin(&log.is_carrying_out);
        // The reply wakes who asked last, as a connection does, and nobody else.
        let (reply, replied) = oneshot::channel();
        drop(spawn(async move { reply.send(()) }));
        replied.await.unwrap();
        let mut left = Vec::new();
        for follower in batch {
            log.carried_out.fetch_add(1, SeqCst);
            let answer = follower.request;
            if thread_rng().gen_bool(0.2) {
                left.push(follower);
            } else {
                follower.tell(BatchAnswer::Answer(answer));
            }
        }
        left
    }
}

/// Drops the future where it is still waiting at its `polls`-th poll.
async fn drop_after<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut made = 0;
    poll_fn(move |context| {
        made += 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if made >= polls => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

async fn send(log: Echo, caller: usize) -> BatchAnswer<usize> {
    let group = Arc::clone(&log.group);
    send_in_batch(log, &group, caller).await
}

fn has_nobody_left(log: &Echo) -> bool {
    let queue = log.group.queue();
    queue.is_idle() && log.group.room.available_permits() == super::MAX_QUEUED
}

/// Asks, and may go away.
async fn hang_up(log: Echo, caller: usize) -> Option<BatchAnswer<usize>> {
    let polls = thread_rng().gen_range(1..8);
    drop_after(polls, send(log, caller)).await
}

/// What those were answered who stay, while two others may go.
async fn answered_to_those_who_stay(log: &Echo) -> Vec<(usize, BatchAnswer<usize>)> {
    let gone: Vec<_> = (0..2).map(|caller| spawn(hang_up(log.clone(), caller))).collect();
    let stay = (2..CALLERS).map(|caller| spawn(send(log.clone(), caller))).collect();
    let answered = (2..).zip(end(stay).await).collect();
    end(gone).await;
    answered
}

async fn end<T>(tasks: Vec<JoinHandle<T>>) -> Vec<T> {
    join_all(tasks).await.into_iter().map(Result::unwrap).collect()
}

async fn the_group_goes_on(log: &Echo) {
    // The leader's task may have a few steps to go.
    while !has_nobody_left(log) {
        yield_now().await;
    }
    if !RUNTIMES_END.get() {
        assert!(matches!(send(log.clone(), 9).await, BatchAnswer::Answer(9)));
    }
}

fn in_many_orders<W: Future<Output = ()> + 'static>(
    runtimes_end: bool,
    order: impl Fn() -> W + Copy + Send + Sync + 'static,
) {
    let all_orders = move || {
        RUNTIMES_END.set(runtimes_end);
        block_on(order());
    };
    shuttle::check_random(all_orders, ORDERS);
    shuttle::check_pct(all_orders, ORDERS, 3);
}

#[test]
fn every_caller_is_answered_and_at_most_one_leads() {
    in_many_orders(false, || async {
        let log = Echo::default();
        let callers = (0..CALLERS).map(|caller| spawn(send(log.clone(), caller))).collect();
        for (caller, answered) in end(callers).await.into_iter().enumerate() {
            assert!(matches!(answered, BatchAnswer::Answer(answer) if answer == caller));
        }
        assert!(log.carried_out.load(SeqCst) >= CALLERS);
        the_group_goes_on(&log).await;
    });
}

#[test]
fn callers_that_stay_are_answered_if_others_are_dropped() {
    in_many_orders(false, || async {
        let log = Echo::default();
        for (caller, answered) in answered_to_those_who_stay(&log).await {
            assert!(matches!(answered, BatchAnswer::Answer(answer) if answer == caller));
        }
        the_group_goes_on(&log).await;
    });
}

#[test]
fn a_caller_that_is_not_polled_keeps_nobody_waiting() {
    in_many_orders(false, || async {
        let log = Echo::default();
        let mut kept = Box::pin(send(log.clone(), 0));
        let others = (1..CALLERS).map(|caller| spawn(send(log.clone(), caller))).collect();
        let begun = futures_util::poll!(&mut kept);
        end::<BatchAnswer<usize>>(others).await;
        let answered = match begun {
            Poll::Ready(answered) => answered,
            Poll::Pending => kept.await,
        };
        assert!(matches!(answered, BatchAnswer::Answer(0)));
        the_group_goes_on(&log).await;
    });
}

#[test]
fn no_caller_waits_for_ever_after_a_runtime_shut_down() {
    in_many_orders(true, || async {
        let log = Echo::default();
        // That all of them end is the promise: shuttle fails where somebody waits for ever.
        for (caller, answered) in answered_to_those_who_stay(&log).await {
            match answered {
                BatchAnswer::Answer(answer) => assert_eq!(answer, caller),
                answered => assert!(matches!(answered, BatchAnswer::Alone(Attempt::Retry))),
            }
        }
        the_group_goes_on(&log).await;
    });
}
