//! Runs one case.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use super::HandlerTest;
use super::case::{Case, Kind};
use super::clock::{StoppedClock, TooLong};
use super::delivery::Delivery;
use crate::lease_length::MIN_LEASE;
use crate::steps::Step;
use crate::steps::told::{End, Plan, Seen, Told, tell};

/// The lease of each claim: the shortest one, because logs in a database measure it on a real clock.
const LEASE: Duration = MIN_LEASE;
/// The event is delivered again for this long, until it is accepted.
const MAX_REDELIVERY: Duration = Duration::from_secs(10);
/// What runs in the background has ended after so many turns, if it waits for no database.
const TURNS: usize = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guarantee {
    Fence,
    Claim,
    Transaction,
}

/// What was seen in a case.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) seen: Vec<Seen>,
    /// How often the first delivery waited.
    pub(super) waits: usize,
    /// Where the first delivery was when something happened to it.
    pub(super) place: String,
    /// Whether the event was accepted in the end.
    pub(super) accepted: bool,
    pub(super) effects: usize,
    /// The effects at the moment of the reply, if they could be counted without waiting.
    pub(super) effects_at_reply: Option<usize>,
    pub(super) took_too_long: bool,
}

impl Outcome {
    pub(super) fn guarantee(&self) -> Option<Guarantee> {
        self.seen.iter().find_map(|seen| match seen.step {
            Step::Mark => Some(Guarantee::Fence),
            Step::Claim => Some(Guarantee::Claim),
            Step::Begin => Some(Guarantee::Transaction),
            _ => None,
        })
    }
}

/// Runs the case on a thread of its own, because a test may have a runtime on its thread already.
pub(super) fn run<T: HandlerTest>(case: Case) -> Outcome {
    let ran = thread::scope(|scope| scope.spawn(|| on_this_thread::<T>(case)).join());
    ran.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn on_this_thread<T: HandlerTest>(case: Case) -> Outcome {
    let told = tell(Plan::default());
    let mut outcome = Outcome::default();
    let ended = StoppedClock::new().map_err(|_| TooLong).and_then(|clock| {
        clock.run(|| told.with(|plan| plan.polls), async {
            let subject = T::new().await;
            told.with(|plan| *plan = Plan { fault: case.fault(), lease: Some(LEASE), ..Plan::default() });
            deliver(&subject, &told, case, &mut outcome).await
        })
    });
    outcome.took_too_long = ended.is_err();
    told.with(|plan| outcome.seen = std::mem::take(&mut plan.seen));
    outcome
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
    (outcome.waits, outcome.place) = (first.waits, told.with(|plan| place(plan)));
    match (replied, case.kind) {
        (Some(accepted), kind) => {
            drop(first);
            outcome.accepted = accepted;
            outcome.effects_at_reply = at_once(subject.effects()).await;
            if kind == Kind::Twice {
                outcome.accepted &= Delivery::new(2, told, subject.deliver()).reply().await;
            }
        }
        (None, Kind::Overlapping(_)) => {
            let mut second = Delivery::new(2, told, subject.deliver());
            let (one, other) = both(&mut first, &mut second).await;
            outcome.accepted = one || other;
        }
        (None, Kind::TakenOver(_)) => {
            told.with(|plan| plan.renews_nothing = true);
            outcome.accepted = until_accepted(subject, told).await;
            first.reply().await;
        }
        (None, Kind::Panicked(_)) => first.panic(),
        (None, _) => drop(first),
    }
    end_of_background(told).await;
    if !outcome.accepted {
        outcome.accepted = until_accepted(subject, told).await;
        end_of_background(told).await;
    }
    outcome.effects = subject.effects().await;
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

async fn both<'a>(first: &mut Delivery<'a>, second: &mut Delivery<'a>) -> (bool, bool) {
    let (mut one, mut other) = (None, None);
    poll_fn(|context| {
        for (delivery, reply) in [(&mut *second, &mut other), (&mut *first, &mut one)] {
            if reply.is_none()
                && let Poll::Ready(ready) = delivery.poll(context)
            {
                *reply = Some(ready);
            }
        }
        match (one, other) {
            (Some(one), Some(other)) => Poll::Ready((one, other)),
            _ => Poll::Pending,
        }
    })
    .await
}

/// Delivers again as a sender does, which waits longer than a lease.
async fn until_accepted<T: HandlerTest>(subject: &T, told: &Told) -> bool {
    let begin = Instant::now();
    let mut number = 2;
    loop {
        if Delivery::new(number, told, subject.deliver()).reply().await {
            return true;
        }
        if begin.elapsed() > MAX_REDELIVERY {
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
        for _ in 0..TURNS {
            tokio::task::yield_now().await;
        }
        if !told.with(|plan| plan.is_any_open()) || begin.elapsed() > MAX_REDELIVERY {
            break;
        }
        pause().await;
    }
    // Tasks that the handler started may sleep first.
    tokio::time::advance(LEASE / 2).await;
    for _ in 0..TURNS {
        tokio::task::yield_now().await;
    }
}

/// A moment on the clock of a database.
async fn pause() {
    drop(tokio::task::spawn_blocking(|| thread::sleep(Duration::from_millis(5))).await);
}

/// The output, if it is ready at the first poll.
async fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|context| {
        Poll::Ready(match future.as_mut().poll(context) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}
