//! The queue, its callers and its leader in thousands of orders, each by the real code, without a database.
//!
//! Shuttle and not loom: between the queue's locks are tokio's semaphore and wakers, which loom cannot see
//! into, and which need not be explored here. Shuttle runs them as they are, and chooses which task goes next
//! at each lock and each wait. It tries orders at random, by a seed that it prints. The leader's task is one
//! of shuttle's. If a runtime is to shut down, the task is dropped in the middle of its work; if it is to stop,
//! the task is never polled again.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::Poll;
use std::time::Duration;

use futures_util::future::{join_all, poll_fn};
use shuttle::future::{JoinHandle, block_on, spawn, yield_now};
use shuttle::rand::{Rng, thread_rng};
use tokio::sync::oneshot;

use super::batch::{Batch, Follower, Leftover, Sent};
use super::clock::{Runtimes, begin, tick};
use super::slot::Caller;
use super::{BatchAnswer, BatchRequest, BatchSession, Group, MAX_QUEUED, MAX_SLOW, send_in_batch};
use crate::detach_on_drop::Detached;

const ORDERS: usize = 2_000;
/// Two more than there is room for.
const CALLERS: usize = 5;

/// A number that is its own answer.
struct Number {
    id: Arc<str>,
    number: usize,
}

/// Answers each request with itself.
#[derive(Clone, Default)]
struct Echo {
    group: Arc<Group<Number, usize>>,
    at_the_database: Arc<AtomicUsize>,
    sent: Arc<AtomicUsize>,
    repeated: Arc<AtomicUsize>,
    /// The numbers that were answered, and those whose callers did not hear of it.
    answered: Arc<Numbers>,
    undelivered: Arc<Numbers>,
}

type Numbers = std::sync::Mutex<Vec<usize>>;

struct AtTheDatabase(Arc<AtomicUsize>);

impl Drop for AtTheDatabase {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

impl BatchSession for Echo {
    fn another(&self) -> Self {
        self.clone()
    }
}

impl BatchRequest<Echo> for Number {
    type Answer = usize;

    fn id(&self) -> &Arc<str> {
        &self.id
    }

    fn operation(&self) -> &'static str {
        "echo"
    }

    fn max_unpolled() -> Option<Duration> {
        Some(Duration::from_secs(3))
    }

    async fn send_batch(echo: &mut Echo, mut batch: Batch<Self, usize>) -> Leftover<Self, usize> {
        let others = echo.at_the_database.fetch_add(1, SeqCst);
        assert!(others <= MAX_SLOW, "{others} other statements of one kind are under way");
        let at_the_database = AtTheDatabase(Arc::clone(&echo.at_the_database));
        let is_repeated = batch.followers.iter().any(|follower| follower.sent == Sent::InDoubt);
        echo.repeated.fetch_add(usize::from(is_repeated), SeqCst);
        let _attempts = batch.begin();
        // The reply wakes the last one that waits for it, as a connection does, and nobody else.
        let (reply, replied) = oneshot::channel();
        drop(spawn(async move { reply.send(()) }));
        replied.await.unwrap();
        drop(at_the_database);
        let mut waiting = Vec::new();
        for follower in batch.take() {
            echo.sent.fetch_add(1, SeqCst);
            let answer = follower.request.number;
            if thread_rng().gen_bool(0.2) {
                waiting.push(follower);
            } else {
                echo.answered.lock().unwrap().push(answer);
                let told = |caller: Caller<usize>| caller.tell(BatchAnswer::Answer(answer)).is_ok();
                if !follower.callers.into_iter().all(told) {
                    echo.undelivered.lock().unwrap().push(answer);
                }
            }
        }
        Leftover::waiting(waiting)
    }
}

/// Drops the future if it is still pending at its `polls`-th poll.
pub(super) async fn drop_after<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
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

async fn send(echo: Echo, number: usize) -> BatchAnswer<usize> {
    let group = Arc::clone(&echo.group);
    let request = Number { id: number.to_string().into(), number };
    send_in_batch(|| echo.clone(), &group, request).await
}

fn is_at_rest(echo: &Echo) -> bool {
    let queue = echo.group.queue();
    !queue.has_leader() && !queue.waiting().iter().any(Follower::has_callers)
}

/// Sends, and may be dropped.
async fn hang_up(echo: Echo, caller: usize) -> Option<BatchAnswer<usize>> {
    let polls = thread_rng().gen_range(1..8);
    drop_after(polls, send(echo, caller)).await
}

/// The answers of the callers that stay, while two others may be dropped.
async fn answers_of_those_who_stay(echo: &Echo) -> Vec<(usize, BatchAnswer<usize>)> {
    let gone: Vec<_> = (0..2).map(|caller| spawn(hang_up(echo.clone(), caller))).collect();
    let stay = (2..CALLERS).map(|caller| spawn(send(echo.clone(), caller))).collect();
    let answers = (2..).zip(end(stay).await).collect();
    end(gone).await;
    answers
}

async fn end<T>(tasks: Vec<JoinHandle<T>>) -> Vec<T> {
    join_all(tasks).await.into_iter().map(Result::unwrap).collect()
}

async fn the_group_goes_on(echo: &Echo) {
    // The leader's task may have a few steps to go.
    while !is_at_rest(echo) {
        yield_now().await;
    }
    assert!(matches!(send(echo.clone(), 9).await, BatchAnswer::Answer(9)));
    // A slow batch of a caller that is gone may still be at the database. Shuttle fails if its place is never free.
    while !is_at_rest(echo) || echo.group.room.available_permits() < MAX_QUEUED {
        yield_now().await;
    }
    assert_eq!(echo.group.queue().len(), 0);
}

fn in_many_orders<W: Future<Output = ()> + 'static>(
    runtimes: Runtimes,
    order: impl Fn() -> W + Copy + Send + Sync + 'static,
) {
    let all_orders = move || {
        begin(runtimes);
        block_on(order());
    };
    shuttle::check_random(all_orders, ORDERS);
    shuttle::check_pct(all_orders, ORDERS, 3);
}

/// Time goes on until every deadline is over.
async fn with_time<T>(work: impl Future<Output = T>) -> T {
    let ticking = spawn(async {
        for _ in 0..14 {
            for _ in 0..40 {
                yield_now().await;
            }
            tick();
        }
    });
    let output = work.await;
    ticking.await.unwrap();
    output
}

#[test]
fn every_caller_is_answered_and_at_most_one_leads() {
    in_many_orders(Runtimes::Run, || async {
        let echo = Echo::default();
        let callers = (0..CALLERS).map(|caller| spawn(send(echo.clone(), caller))).collect();
        for (caller, answer) in end(callers).await.into_iter().enumerate() {
            assert!(matches!(answer, BatchAnswer::Answer(number) if number == caller));
        }
        assert!(echo.sent.load(SeqCst) >= CALLERS);
        the_group_goes_on(&echo).await;
    });
}

#[test]
fn callers_that_stay_are_answered_if_others_are_dropped() {
    in_many_orders(Runtimes::Run, || async {
        let echo = Echo::default();
        for (caller, answer) in answers_of_those_who_stay(&echo).await {
            assert!(matches!(answer, BatchAnswer::Answer(number) if number == caller));
        }
        the_group_goes_on(&echo).await;
    });
}

/// Shuttle fails if a request stays in the queue for ever.
#[test]
fn nothing_is_left_in_the_queue_if_every_caller_leaves() {
    in_many_orders(Runtimes::Run, || async {
        let echo = Echo::default();
        end((0..CALLERS).map(|caller| spawn(hang_up(echo.clone(), caller))).collect()).await;
        while echo.group.queue().has_leader() || echo.group.room.available_permits() < MAX_QUEUED {
            yield_now().await;
        }
        assert_eq!(echo.group.queue().len(), 0);
    });
}

/// Sends, and gives up at some point unless the request is at the database.
async fn send_detached(echo: Echo, caller: usize) -> (usize, BatchAnswer<usize>) {
    let mut polls = thread_rng().gen_range(1..8);
    let mut sending = pin!(send(echo, caller));
    let answer = poll_fn(move |context| {
        polls -= i32::from(polls > 0);
        let _detached = (polls == 0).then(Detached::enter);
        let polled = sending.as_mut().poll(context);
        if polls > 0 && polled.is_pending() {
            context.waker().wake_by_ref();
        }
        polled
    });
    (caller, answer.await)
}

#[test]
fn an_answer_is_told_or_known_to_be_undelivered() {
    in_many_orders(Runtimes::Run, || async {
        let echo = Echo::default();
        let callers = (0..CALLERS).map(|caller| spawn(send_detached(echo.clone(), caller))).collect();
        for (caller, answer) in end::<(usize, BatchAnswer<usize>)>(callers).await {
            let was_answered = echo.answered.lock().unwrap().contains(&caller);
            let was_told = !echo.undelivered.lock().unwrap().contains(&caller);
            match answer {
                BatchAnswer::Answer(number) => assert!(number == caller && was_told),
                _ => assert!(!was_answered || !was_told, "the answer to {caller} was lost"),
            }
        }
    });
}

#[test]
fn a_caller_that_is_not_polled_keeps_nobody_waiting() {
    in_many_orders(Runtimes::Run, || async {
        let echo = Echo::default();
        let mut kept = Box::pin(send(echo.clone(), 0));
        let others = (1..CALLERS).map(|caller| spawn(send(echo.clone(), caller))).collect();
        let begun = futures_util::poll!(&mut kept);
        // A caller that is not polled may be the one that was to lead.
        with_time(end::<BatchAnswer<usize>>(others)).await;
        let answer = match begun {
            Poll::Ready(answer) => answer,
            Poll::Pending => kept.await,
        };
        // Its deadline may have come while it was not polled.
        assert!(matches!(answer, BatchAnswer::Answer(0) | BatchAnswer::Failed(_)));
        the_group_goes_on(&echo).await;
    });
}

/// That all of them end is the promise: shuttle fails if a caller waits for ever.
fn every_caller_that_stays_is_answered(runtimes: Runtimes) {
    in_many_orders(runtimes, || async {
        let echo = Echo::default();
        for (caller, answer) in with_time(answers_of_those_who_stay(&echo)).await {
            match answer {
                BatchAnswer::Answer(number) => assert_eq!(number, caller),
                // Its deadline came first.
                BatchAnswer::Failed(_) => {}
                BatchAnswer::Alone(_) => panic!("it was left alone"),
            }
        }
    });
}

#[test]
fn no_caller_waits_for_ever_after_a_runtime_shut_down() {
    every_caller_that_stays_is_answered(Runtimes::ShutDown);
}

#[test]
fn no_caller_waits_for_ever_for_a_runtime_that_stopped() {
    every_caller_that_stays_is_answered(Runtimes::Stop);
}
