//! Runs steps in random order and compares each answer with the [`Model`]. The seed is fixed, so a failure
//! can be repeated.

mod model;

use std::ops::BitOr;

use proptest::prelude::*;
use proptest::strategy::{Union, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use self::model::Model;
use super::Store;
use super::breach::{Breach, Kept};
use super::delivering::{self, LONG_LEASE, Patience, SHORT_LEASE, claim as try_claim, event, take_over_as};
use crate::claim::{ClaimLog, ClaimOutcome, Ownership};
use crate::log::ProcessedEventLog;
use crate::owner::Owner;
use crate::transaction::{MarkOutcome, TransactionalLog};

const SEQUENCES: usize = 48;
const STEPS: usize = 24;
const EVENTS: u8 = 3;
const OWNERS: u8 = 3;
const HANDLES: usize = 2;

/// The steps that a log supports.
#[derive(Clone, Copy)]
pub(super) struct Kinds(u8);

pub(super) const MARKS: Kinds = Kinds(1);
pub(super) const CLAIMS: Kinds = Kinds(2);
pub(super) const TRANSACTIONS: Kinds = Kinds(4);

impl BitOr for Kinds {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// One step, for one of a few events and one of a few owners.
#[derive(Clone, Copy, Debug)]
struct Step {
    event: u8,
    owner: u8,
    handle: usize,
    action: Action,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Mark {
        typed: bool,
    },
    Claim,
    /// Claims after the lease of the current claim has ended.
    TakeOver,
    Renew,
    Complete,
    Release,
    Transact(Ending),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Commit,
    Rollback,
    Drop,
}

/// A step with the arguments of the log's method.
pub(super) enum Call {
    Mark { id: String, typed: bool },
    Claim { id: String, owner: Owner },
    TakeOver { id: String, held: Ownership, owner: Owner },
    Renew { id: String, held: Ownership },
    Complete { id: String, held: Ownership },
    Release { id: String, held: Ownership },
    Transact { id: String, ending: Ending },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    First(bool),
    Claimed(ClaimOutcome),
    Done(bool),
    Marked(MarkOutcome),
}

fn steps(kinds: Kinds) -> impl Strategy<Value = Vec<Step>> {
    let has = |kind: Kinds| kinds.0 & kind.0 != 0;
    let mut actions = Vec::new();
    if has(MARKS) {
        actions.push((2, any::<bool>().prop_map(|typed| Action::Mark { typed }).boxed()));
    }
    if has(CLAIMS) {
        for (weight, action) in [
            (6, Action::Claim),
            (2, Action::TakeOver),
            (2, Action::Renew),
            (2, Action::Complete),
            (4, Action::Release),
        ] {
            actions.push((weight, Just(action).boxed()));
        }
    }
    if has(TRANSACTIONS) {
        for (weight, ending) in [(1, Ending::Commit), (2, Ending::Rollback), (1, Ending::Drop)] {
            actions.push((weight, Just(Action::Transact(ending)).boxed()));
        }
    }
    let step = (0..EVENTS, 0..OWNERS, 0..HANDLES, Union::new_weighted(actions))
        .prop_map(|(event, owner, handle, action)| Step { event, owner, handle, action });
    prop::collection::vec(step, 1..=STEPS)
}

/// Runs the sequences. If one breaks a promise, finds the shortest sequence that does.
pub(super) async fn follow<S: Store>(
    store: &S,
    kinds: Kinds,
    ask: impl AsyncFn(&S::Log, Call) -> Kept<Answer>,
) -> Kept {
    let logs = [store.open().await, store.open().await];
    let mut runner =
        TestRunner::new_with_rng(Config::default(), TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let strategy = steps(kinds);
    let mut runs = 0;
    let mut run = async |steps: &[Step]| {
        runs += 1;
        run_once(&logs, runs, steps, &ask).await
    };
    for _ in 0..SEQUENCES {
        let mut tree = strategy.new_tree(&mut runner).map_err(|reason| Breach(reason.to_string()))?;
        let Err(mut breach) = run(&tree.current()).await else { continue };
        let mut shrinks = tree.simplify();
        while shrinks {
            shrinks = match run(&tree.current()).await {
                Err(shorter) => {
                    breach = shorter;
                    tree.simplify()
                }
                Ok(()) => tree.complicate(),
            };
        }
        return Err(breach);
    }
    Ok(())
}

/// Uses events of its own, so that every run begins with free events.
async fn run_once<L>(
    logs: &[L; HANDLES],
    run: usize,
    steps: &[Step],
    ask: &impl AsyncFn(&L, Call) -> Kept<Answer>,
) -> Kept {
    let mut model = Model::new()?;
    let mut story = Vec::new();
    for step in steps {
        let id = format!("random_{run}_{}", step.event);
        let Some(log) = logs.get(step.handle) else { continue };
        let so_far = |story: &[String]| format!("in this order:\n{}\n{step:?}", story.join("\n"));
        let answer = ask(log, model.call(*step, id)).await;
        let answer = answer.map_err(|Breach(seen)| Breach(format!("{}: {seen}", so_far(&story))))?;
        model.follow(*step, answer).map_err(|expected| {
            Breach(format!("{} -> {answer:?}, where the contract says {expected}", so_far(&story)))
        })?;
        story.push(format!("{step:?} -> {answer:?}"));
    }
    Ok(())
}

pub(super) async fn mark<L: ProcessedEventLog>(log: &L, call: Call) -> Kept<Answer> {
    let Call::Mark { id, typed } = call else { return Err(unknown()) };
    Ok(Answer::First(if typed {
        log.try_mark_event(event(&id)?.with_type("invoice.paid")).await?
    } else {
        log.try_mark_processed(&id).await?
    }))
}

pub(super) async fn claim<L: ClaimLog>(log: &L, call: Call) -> Kept<Answer> {
    Ok(match call {
        Call::Claim { id, owner } => Answer::Claimed(try_claim(log, &id, owner, LONG_LEASE).await?),
        Call::TakeOver { id, held, owner } => {
            if !log.renew(&id, held, SHORT_LEASE).await? {
                return Err(Breach("the claim to be taken over could not be renewed before".into()));
            }
            let token = take_over_as(log, &id, owner, LONG_LEASE).await?;
            Answer::Claimed(ClaimOutcome::Acquired { token })
        }
        Call::Renew { id, held } => Answer::Done(log.renew(&id, held, LONG_LEASE).await?),
        Call::Complete { id, held } => Answer::Done(log.complete(&id, held).await?),
        Call::Release { id, held } => Answer::Done(log.release(&id, held).await?),
        Call::Mark { .. } | Call::Transact { .. } => return Err(unknown()),
    })
}

pub(super) async fn transact<L: TransactionalLog>(log: &L, call: Call) -> Kept<Answer> {
    let Call::Transact { id, ending } = call else { return Err(unknown()) };
    let (transaction, outcome) = delivering::mark_in(log, &id).await?;
    match ending {
        Ending::Drop => {
            drop(transaction);
            is_rolled_back(log, &id, outcome).await?;
        }
        Ending::Commit if outcome == MarkOutcome::First => L::commit(transaction).await?,
        Ending::Commit | Ending::Rollback => L::rollback(transaction).await?,
    }
    Ok(Answer::Marked(outcome))
}

/// Waits until the rollback of a dropped transaction has arrived. Before that it may still hold its locks,
/// whatever the transaction found.
async fn is_rolled_back<L: TransactionalLog>(log: &L, id: &str, dropped: MarkOutcome) -> Kept {
    // A live claim has the event and would never give it back.
    if matches!(dropped, MarkOutcome::InProgress { .. }) {
        return Ok(());
    }
    let patience = Patience::for_the("rollback of a dropped transaction");
    loop {
        let (transaction, outcome) = delivering::mark_in(log, id).await?;
        L::rollback(transaction).await?;
        if !matches!(outcome, MarkOutcome::InProgress { .. }) {
            return Ok(());
        }
        patience.wait().await?;
    }
}

fn unknown() -> Breach {
    Breach("the kit drew a step that this suite has not".into())
}
