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

use super::{Group, Sharing, Told, Waiter, share};

const ORDERS: usize = 2_000;
/// Two more than there is room for.
const CALLERS: usize = 5;

thread_local! {
    /// Whether the runtime of a leader's task may shut down. Shuttle runs all tasks of an order on one thread.
    static RUNTIMES_END: Cell<bool> = const { Cell::new(false) };
}

/// What shuttle has in place of a task of tokio's.
pub(super) fn in_a_task(work: impl Future<Output = ()> + Send + 'static) {
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

impl Sharing<Echo> for usize {
    type Answer = Self;

    fn group<'g>(&self, log: &'g Echo) -> &'g Arc<Group<Self, Self>> {
        &log.group
    }

    async fn carry_out(log: &mut Echo, batch: Vec<Waiter<Self, Self>>) -> Vec<Waiter<Self, Self>> {
        let _alone = CarryingOut::begin(&log.is_carrying_out);
        // The reply wakes who asked last, as a connection does, and nobody else.
        let (reply, replied) = oneshot::channel();
        drop(spawn(async move { reply.send(()) }));
        replied.await.unwrap();
        let mut left = Vec::new();
        for waiter in batch {
            log.carried_out.fetch_add(1, SeqCst);
            let answer = waiter.request;
            if thread_rng().gen_bool(0.2) {
                left.push(waiter);
            } else {
                waiter.tell(Told::Answer(answer));
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

fn has_nobody_left(log: &Echo) -> bool {
    let queue = log.group.queue();
    queue.is_idle() && log.group.room.available_permits() == super::ROOM
}

/// Asks, and may go away.
async fn hang_up(log: Echo, caller: usize) -> Option<Told<usize>> {
    let polls = thread_rng().gen_range(1..8);
    drop_after(polls, share(log, caller)).await
}

/// What those were told who stay, while two others may go.
async fn told_to_those_who_stay(log: &Echo) -> Vec<(usize, Told<usize>)> {
    let gone: Vec<_> = (0..2).map(|caller| spawn(hang_up(log.clone(), caller))).collect();
    let stay = (2..CALLERS).map(|caller| spawn(share(log.clone(), caller))).collect();
    let told = (2..).zip(end(stay).await).collect();
    end(gone).await;
    told
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
        assert!(matches!(share(log.clone(), 9).await, Told::Answer(9)));
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
fn whoever_queues_is_answered_and_at_most_one_leads() {
    in_many_orders(false, || async {
        let log = Echo::default();
        let callers = (0..CALLERS).map(|caller| spawn(share(log.clone(), caller))).collect();
        for (caller, told) in end(callers).await.into_iter().enumerate() {
            assert!(matches!(told, Told::Answer(answer) if answer == caller));
        }
        assert!(log.carried_out.load(SeqCst) >= CALLERS);
        the_group_goes_on(&log).await;
    });
}

#[test]
fn callers_who_stay_are_answered_whoever_goes_and_whenever() {
    in_many_orders(false, || async {
        let log = Echo::default();
        for (caller, told) in told_to_those_who_stay(&log).await {
            assert!(matches!(told, Told::Answer(answer) if answer == caller));
        }
        the_group_goes_on(&log).await;
    });
}

#[test]
fn a_caller_that_is_not_polled_keeps_nobody_waiting() {
    in_many_orders(false, || async {
        let log = Echo::default();
        let mut kept = Box::pin(share(log.clone(), 0));
        let others = (1..CALLERS).map(|caller| spawn(share(log.clone(), caller))).collect();
        let begun = futures_util::poll!(&mut kept);
        end::<Told<usize>>(others).await;
        let told = match begun {
            Poll::Ready(told) => told,
            Poll::Pending => kept.await,
        };
        assert!(matches!(told, Told::Answer(0)));
        the_group_goes_on(&log).await;
    });
}

#[test]
fn when_runtimes_shut_down_nobody_is_left_waiting() {
    in_many_orders(true, || async {
        let log = Echo::default();
        // That all of them end is the promise: shuttle fails where somebody waits for ever.
        for (caller, told) in told_to_those_who_stay(&log).await {
            match told {
                Told::Answer(answer) => assert_eq!(answer, caller),
                told => assert!(matches!(told, Told::Alone { again: true })),
            }
        }
        the_group_goes_on(&log).await;
    });
}
