//! Runs one case.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::HandlerTest;
use super::case::{Case, Kind};
use super::clock::{Progress, StoppedClock, TooLong, at_once};
use super::delivery::Delivery;
use super::wait::Wait;
use crate::lease_length::MIN_LEASE;
use crate::steps::Step;
use crate::steps::told::{End, Plan, Seen, Told, tell};

/// The lease of each claim: the shortest one, because logs in a database measure it on a real clock.
const LEASE: Duration = MIN_LEASE;
/// A case runs so often at most until that which it is about happens. A handler may do something else each time.
const MAX_RUNS: usize = 3;
/// The event is delivered again for this long, until it is accepted.
const MAX_REDELIVERY: Duration = Duration::from_secs(10);
/// The same while the first delivery stands still, which may hold what the others need.
const MAX_TAKE_OVER: Duration = Duration::from_secs(2);
/// A delivery that takes longer while the first one stands still may wait for what that one holds.
const MAX_STANDSTILL: Duration = Duration::from_mins(5);
/// A handler that panics so often does so at each delivery.
const MAX_PANICS: usize = 5;
/// How long an effect after the reply is waited for, on the paused clock.
const MAX_LATE: Duration = Duration::from_mins(10);
/// A case ends by itself before this, unless its thread is blocked.
const MAX_BLOCKED: Duration = Duration::from_secs(40);
const BLOCKED: &str =
    "then the thread was blocked, as it is if two deliveries wait for a `std::sync::Mutex` across an `await`";
/// What runs in the background has ended after so many turns, if it waits for no database.
const TURNS: usize = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guarantee {
    Fence,
    Claim,
    Transaction,
}

/// How a case went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Course {
    #[default]
    Ended,
    TooLong,
    /// The thread has not come back, so no other case should run.
    Blocked,
}

/// What was seen in a case.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) seen: Vec<Seen>,
    /// The waits of the first delivery.
    pub(super) waits: Vec<Wait>,
    /// Whether that which the case is about happened.
    pub(super) happened: bool,
    /// Where the first delivery was when something happened to it.
    pub(super) place: String,
    /// Whether the event was accepted in the end.
    pub(super) accepted: bool,
    pub(super) effects: usize,
    /// The effects at the moment of the reply, if they could be counted without waiting.
    pub(super) effects_at_reply: Option<usize>,
    pub(super) course: Course,
    /// The last panic of a delivery by itself.
    pub(super) panic: Option<String>,
}

impl Outcome {
    pub(super) fn has_fence(&self) -> bool {
        self.seen.iter().any(|seen| seen.step == Step::Mark)
    }

    pub(super) fn guarantee(&self) -> Option<Guarantee> {
        self.seen.iter().find_map(|seen| match seen.step {
            Step::Mark => Some(Guarantee::Fence),
            Step::Claim => Some(Guarantee::Claim),
            Step::Begin => Some(Guarantee::Transaction),
            _ => None,
        })
    }
}

/// Runs the case. On a busy machine a lease may end before the body begins, or the others may not get it in time. Then that
/// which the case is about did not happen, and it runs again.
pub(super) fn run<T: HandlerTest>(case: Case) -> Outcome {
    let mut outcome = once::<T>(case);
    for _ in 1..MAX_RUNS {
        if outcome.happened || outcome.course != Course::Ended {
            break;
        }
        outcome = once::<T>(case);
    }
    outcome
}

/// Runs the case on a thread of its own, because a test may have a runtime on its thread already. A handler that
/// blocks its thread for good leaves it behind.
fn once<T: HandlerTest>(case: Case) -> Outcome {
    let (sender, ended) = channel();
    let runs = thread::spawn(move || drop(sender.send(on_this_thread::<T>(case))));
    match ended.recv_timeout(MAX_BLOCKED) {
        Ok(outcome) => outcome,
        Err(RecvTimeoutError::Timeout) => {
            Outcome { place: BLOCKED.into(), course: Course::Blocked, ..Outcome::default() }
        }
        Err(RecvTimeoutError::Disconnected) => match runs.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(()) => Outcome::default(),
        },
    }
}

fn on_this_thread<T: HandlerTest>(case: Case) -> Outcome {
    let told = tell(Plan::default());
    let mut outcome = Outcome::default();
    let ended = StoppedClock::new().map_err(|_| TooLong).and_then(|clock| {
        let progress = || {
            told.with(|plan| Progress {
                polls: plan.polls,
                open_calls: plan.open,
                is_outside: plan.is_outside,
            })
        };
        clock.run(progress, async {
            let subject = outside(&told, T::new()).await;
            told.with(|plan| *plan = Plan { fault: case.fault(), lease: Some(LEASE), ..Plan::default() });
            deliver(&subject, &told, case, &mut outcome).await
        })
    });
    if ended.is_err() {
        outcome.course = Course::TooLong;
    }
    told.with(|plan| {
        outcome.seen = std::mem::take(&mut plan.seen);
        outcome.panic = plan.panics.pop();
    });
    outcome
}

/// Runs a part of the test itself, in which the clock goes as the real one.
async fn outside<T>(told: &Told, part: impl Future<Output = T>) -> T {
    told.with(|plan| plan.is_outside = true);
    let output = part.await;
    told.with(|plan| plan.is_outside = false);
    output
}

async fn deliver<T: HandlerTest>(
    subject: &T,
    told: &Told,
    case: Case,
    outcome: &mut Outcome,
) -> Result<(), TooLong> {
    let mut first = Delivery::new(1, told, subject.deliver());
    let replied = match case.wait() {
        Some(wait) => first.until(wait).await,
        None => Some(first.reply().await),
    };
    (outcome.waits, outcome.place) = (first.waits.clone(), told.with(|plan| place(plan)));
    outcome.happened = match case.fault() {
        Some((position, _)) => told.with(|plan| plan.seen.len() > position),
        None => case.wait().is_none_or(|wait| first.has_come_to(wait)),
    };
    match (replied, case.kind) {
        (Some(accepted), kind) => {
            drop(first);
            outcome.accepted = accepted;
            if accepted {
                outcome.effects_at_reply = at_once(subject.effects()).await;
            }
            if kind == Kind::Twice {
                outcome.accepted &= Delivery::new(2, told, subject.deliver()).reply().await;
            }
        }
        (None, Kind::Overlapping(_)) => {
            let mut second = Delivery::new(2, told, subject.deliver());
            let (other, one) = both(pin!(second.reply()), pin!(first.reply())).await;
            outcome.accepted = one || other;
        }
        (None, Kind::TakenOver(_)) => {
            told.with(|plan| plan.renews_nothing = true);
            tokio::time::advance(LEASE).await;
            turns().await;
            told.with(|plan| plan.renews_nothing = false);
            let mut others = pin!(until_accepted(subject, told, MAX_TAKE_OVER));
            outcome.accepted = match timeout(MAX_STANDSTILL, others.as_mut()).await {
                Ok(accepted) => {
                    outcome.happened &= accepted;
                    first.reply().await;
                    accepted
                }
                Err(_) => both(pin!(first.reply()), others).await.1,
            };
        }
        (None, Kind::Panicked(_)) => first.panic(),
        (None, _) => drop(first),
    }
    end_of_background(told).await;
    if !outcome.accepted {
        outcome.accepted = until_accepted(subject, told, MAX_REDELIVERY).await;
        end_of_background(told).await;
    }
    outcome.effects = outside(told, subject.effects()).await;
    if outcome.effects == 0 && outcome.accepted && case.kind == Kind::Once {
        outcome.effects = late_effects(subject, told).await;
        outcome.effects_at_reply = Some(0);
    }
    Ok(())
}

/// Where the first delivery is.
fn place(plan: &Plan) -> String {
    let last = plan.seen.iter().rfind(|seen| seen.delivery == 1);
    match last {
        None => "before it called the log".into(),
        Some(Seen { step, end: End::Open, .. }) => format!("while it called `{step}`"),
        Some(Seen {
            step: step @ (Step::Mark | Step::Claim | Step::MarkInTransaction),
            end: End::Ok,
            ..
        }) => {
            format!("in the body, after `{step}`")
        }
        Some(Seen { step, .. }) => format!("after `{step}`"),
    }
}

async fn both<T: Copy>(
    mut one: Pin<&mut impl Future<Output = T>>,
    mut other: Pin<&mut impl Future<Output = T>>,
) -> (T, T) {
    fn poll<T: Copy>(
        output: &mut Option<T>,
        future: Pin<&mut impl Future<Output = T>>,
        context: &mut Context<'_>,
    ) -> Option<T> {
        if output.is_none()
            && let Poll::Ready(ready) = future.poll(context)
        {
            *output = Some(ready);
        }
        *output
    }
    let mut outputs = (None, None);
    poll_fn(|context| {
        match (poll(&mut outputs.0, one.as_mut(), context), poll(&mut outputs.1, other.as_mut(), context)) {
            (Some(one), Some(other)) => Poll::Ready((one, other)),
            _ => Poll::Pending,
        }
    })
    .await
}

/// Delivers again as a sender does, which waits longer than a lease.
async fn until_accepted<T: HandlerTest>(subject: &T, told: &Told, within: Duration) -> bool {
    let begin = Instant::now();
    let mut number = 2;
    loop {
        if Delivery::new(number, told, subject.deliver()).reply().await {
            return true;
        }
        if begin.elapsed() > within || told.with(|plan| plan.panics.len()) >= MAX_PANICS {
            return false;
        }
        tokio::time::advance(LEASE).await;
        pause().await;
        number += 1;
    }
}

/// Lets tasks in the background run to their ends.
async fn end_of_background(told: &Told) {
    let begin = Instant::now();
    loop {
        turns().await;
        if told.with(|plan| plan.open) == 0 || begin.elapsed() > MAX_REDELIVERY {
            break;
        }
        pause().await;
    }
    // Tasks that the handler started may sleep first.
    tokio::time::advance(LEASE / 2).await;
    turns().await;
}

/// Waits for the effect of a task that the handler left behind.
async fn late_effects<T: HandlerTest>(subject: &T, told: &Told) -> usize {
    let end = tokio::time::Instant::now() + MAX_LATE;
    loop {
        tokio::time::advance(MAX_LATE / 60).await;
        turns().await;
        let effects = outside(told, subject.effects()).await;
        if effects > 0 || tokio::time::Instant::now() >= end {
            return effects;
        }
    }
}

async fn turns() {
    for _ in 0..TURNS {
        tokio::task::yield_now().await;
    }
}

/// A moment on the clock of a database.
async fn pause() {
    drop(tokio::task::spawn_blocking(|| thread::sleep(Duration::from_millis(5))).await);
}
