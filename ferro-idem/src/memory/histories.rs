//! Checks that concurrent marks and claims of one event are linearizable.
//!
//! Neither loom nor shuttle can be used here, because they do not see the locks inside dashmap. So real
//! threads use the real log, and stateright searches for an order of each history that the steps of [`Row`]
//! explain. The threads yield at random before each lock, so that their calls overlap between two locks.

use std::cell::Cell;
use std::sync::{Barrier, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use stateright::semantics::{ConsistencyTester, LinearizabilityTester, SequentialSpec};

use super::MemoryProcessedLog;
use crate::claim::row::{Row, Time};
use crate::claim::{ClaimLog, ClaimOutcome, Ownership};
use crate::event::EventRef;
use crate::log::ProcessedEventLog;
use crate::owner::Owner;

const ROUNDS: usize = 3_000;
const THREADS: usize = 3;
const LONG: Duration = Duration::from_hours(1);

thread_local! {
    /// Zero: this thread does not yield.
    static RANDOM: Cell<u32> = const { Cell::new(0) };
}

/// Lets other threads run first, a random number of times.
pub(super) fn dawdle() {
    RANDOM.with(|random| {
        let mut next = random.get();
        // Marsaglia's xorshift.
        next ^= next << 13;
        next ^= next >> 17;
        next ^= next << 5;
        random.set(next);
        (0..next % 4).for_each(|_| std::thread::yield_now());
    });
}

#[derive(Clone, Copy, Debug)]
enum Ask {
    Mark,
    /// If not `long`, the lease ends at once.
    Claim {
        owner: Owner,
        long: bool,
    },
    Renew(Ownership),
    Complete(Ownership),
    Release(Ownership),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Answer {
    Yes,
    No,
    Acquired { token: u64 },
    InProgress,
    Processed,
}

impl From<bool> for Answer {
    fn from(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
}

impl From<ClaimOutcome> for Answer {
    fn from(outcome: ClaimOutcome) -> Self {
        match outcome {
            ClaimOutcome::Acquired { token } => Self::Acquired { token },
            ClaimOutcome::InProgress { .. } => Self::InProgress,
            ClaimOutcome::Processed => Self::Processed,
        }
    }
}

/// The specification: one event, and one call at a time.
#[derive(Clone, Debug, Default)]
struct OneByOne {
    marked: bool,
    row: Option<Row>,
}

impl SequentialSpec for OneByOne {
    type Op = Ask;
    type Ret = Answer;

    fn invoke(&mut self, ask: &Ask) -> Answer {
        match *ask {
            Ask::Mark => {
                let first = !self.marked && self.row.is_none();
                self.marked |= first;
                first.into()
            }
            Ask::Claim { .. } if self.marked => Answer::Processed,
            Ask::Claim { owner, long } => {
                let lease = if long { LONG } else { Time::ZERO };
                let (row, outcome) = Row::claim(self.row, owner, Time::ZERO, lease);
                self.row = Some(row);
                outcome.into()
            }
            Ask::Renew(held) => self.row.as_mut().is_some_and(|row| row.renew(held, Time::ZERO, LONG)).into(),
            Ask::Complete(held) => self.row.as_mut().is_some_and(|row| row.complete(held)).into(),
            Ask::Release(held) => self.row.as_mut().is_some_and(|row| row.release(held)).into(),
        }
    }
}

fn ask(log: &MemoryProcessedLog, ask: Ask) -> Answer {
    const ID: &str = "evt_1";
    let event = EventRef::new(ID).unwrap();
    match ask {
        Ask::Mark => now(log.try_mark_event(event)).into(),
        Ask::Claim { owner, long } => {
            now(log.claim(event, owner, if long { LONG } else { Duration::ZERO })).into()
        }
        Ask::Renew(held) => now(log.renew(ID, held, LONG)).into(),
        Ask::Complete(held) => now(log.complete(ID, held)).into(),
        Ask::Release(held) => now(log.release(ID, held)).into(),
    }
}

/// The memory log never waits, so its futures are ready at once.
fn now<T>(answer: impl Future<Output = Result<T, crate::Error>>) -> T {
    answer.now_or_never().unwrap().unwrap()
}

/// The calls of a thread in a round: it claims and settles in one of three ways, or it marks.
fn asks(round: usize, thread: usize) -> Vec<Ask> {
    let choice = round / [1, 7, 49][thread] % 7;
    let owner = Owner::from_bytes([u8::try_from(thread).unwrap() + 1; 16]);
    // The token is a guess. A wrong guess stands for a delivery that has lost its claim.
    let held = |token| Ownership { owner, token };
    let claim = |long| Ask::Claim { owner, long };
    match choice {
        0 => vec![Ask::Mark],
        1 => vec![Ask::Mark, claim(true)],
        2 => vec![claim(true), Ask::Complete(held(1)), Ask::Mark],
        3 => vec![claim(true), Ask::Release(held(1)), claim(true), Ask::Complete(held(2))],
        4 => vec![claim(false), Ask::Complete(held(1)), Ask::Complete(held(2))],
        5 => vec![claim(false), Ask::Renew(held(1)), Ask::Release(held(1))],
        _ => vec![claim(true), Ask::Release(held(2)), Ask::Mark],
    }
}

#[test]
fn concurrent_marks_and_claims_are_linearizable() {
    let start = Barrier::new(THREADS);
    let rounds: Vec<_> = (0..ROUNDS)
        .map(|_| (MemoryProcessedLog::new(), Mutex::new(LinearizabilityTester::new(OneByOne::default()))))
        .collect();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (rounds, start) = (&rounds, &start);
            scope.spawn(move || {
                RANDOM.set(u32::try_from(thread).unwrap() + 1);
                for (round, (log, history)) in rounds.iter().enumerate() {
                    start.wait();
                    for asked in asks(round, thread) {
                        history.lock().unwrap().on_invoke(thread, asked).unwrap();
                        let answer = ask(log, asked);
                        history.lock().unwrap().on_return(thread, answer).unwrap();
                    }
                }
            });
        }
    });
    for (_, history) in rounds {
        let history = history.into_inner().unwrap();
        assert!(history.is_consistent(), "no order explains {history:?}");
    }
}
