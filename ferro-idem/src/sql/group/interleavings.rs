//! The queue and its leader in thousands of orders, each by the real code, without a database.
//!
//! Shuttle and not loom: between the queue's locks are tokio's channels and its semaphore, which loom cannot
//! see into, and which need not be explored here; shuttle runs them as they are, and chooses who goes
//! next at each lock and each wait. It tries orders at random, by a seed that it prints. There is no tokio
//! runtime, so that a dropped leader is gone, in the middle of whatever it did.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::task::Poll;

use futures_util::future::poll_fn;
use shuttle::future::{block_on, spawn, yield_now};
use shuttle::rand::{Rng, thread_rng};

use super::{Group, Sharing, Told, Waiter, share};

const ORDERS: usize = 2_000;
const CALLERS: usize = 4;

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
        yield_now().await;
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

#[test]
fn whoever_queues_is_answered_and_at_most_one_leads() {
    let all_orders = || {
        block_on(async {
            let log = Echo::default();
            let callers: Vec<_> = (0..CALLERS)
                .map(|caller| {
                    let log = log.clone();
                    spawn(async move { (caller, share(log.clone(), caller).await) })
                })
                .collect();
            for caller in callers {
                let (caller, told) = caller.await.unwrap();
                assert!(matches!(told, Told::Answer(answer) if answer == caller));
            }
            assert!(log.carried_out.load(SeqCst) >= CALLERS);
            assert!(has_nobody_left(&log));
        });
    };
    shuttle::check_random(all_orders, ORDERS);
    shuttle::check_pct(all_orders, ORDERS, 3);
}

#[test]
fn a_caller_or_leader_that_is_dropped_at_any_point_leaves_nobody_waiting() {
    let all_orders = || {
        block_on(async {
            let log = Echo::default();
            let callers: Vec<_> = (0..CALLERS)
                .map(|caller| {
                    let log = log.clone();
                    spawn(async move {
                        let polls = thread_rng().gen_range(1..8);
                        match caller {
                            0 | 1 => drop_after(polls, share(log.clone(), caller)).await,
                            _ => Some(share(log.clone(), caller).await),
                        }
                        .map(|told| (caller, told))
                    })
                })
                .collect();
            // That all of them end is the promise: shuttle fails where somebody waits for ever.
            for caller in callers {
                match caller.await.unwrap() {
                    Some((caller, Told::Answer(answer))) => assert_eq!(answer, caller),
                    Some((_, told)) => assert!(matches!(told, Told::Alone { again: true })),
                    None => {}
                }
            }
            assert!(has_nobody_left(&log));
            assert!(matches!(share(log.clone(), 9).await, Told::Answer(9)), "the group goes on");
        });
    };
    shuttle::check_random(all_orders, ORDERS);
    shuttle::check_pct(all_orders, ORDERS, 3);
}
