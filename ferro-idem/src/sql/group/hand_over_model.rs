//! Checks a shared mark in every order of events: replies are lost, callers go at any moment, a statement is
//! given up and still carried out, and undelivered marks are taken back while the next delivery arrives.
//!
//! The model has one event and several deliveries, and is written after `marks.rs`. A crash is left out,
//! because a plain fence loses an event whose delivery crashes.

use stateright::{Checker, Model, Property};

/// Which rule is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rules {
    All,
    /// The caller that has the mark is gone, and the others are answered as duplicates.
    NoHandOver,
    /// Each caller that waits for the mark is answered as first.
    FirstToAll,
    NothingIsTakenBack,
    /// A statement without an answer is an error, and its mark is not taken back.
    WhatIsGivenUpStays,
    /// The mark is taken back only once, while the statement that was given up may still arrive.
    TakenBackOnce,
    /// A mark is taken back by its event, not by its owner.
    TakenBackByEvent,
    /// A statement whose reply was lost is sent again with other owners.
    NewOwnerAgain,
}

#[derive(Clone, Debug)]
struct Marks {
    rules: Rules,
    deliveries: usize,
    /// Requires more than a plain fence promises.
    nothing_is_lost: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Caller {
    Unsent,
    Queued,
    InStatement,
    /// The answer is in its channel.
    Told {
        is_first: bool,
    },
    Runs,
    Duplicate,
    /// Told that there is no answer.
    Failed,
    Gone,
    /// Gone while its request is in the statement.
    GoneInStatement,
}

type Owner = usize;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    row: Option<Owner>,
    callers: Vec<Caller>,
    /// With which owner, and whether it may have been carried out.
    statement: Option<(Owner, bool)>,
    /// The statement's reply.
    is_first: Option<bool>,
    taking_back: Vec<Owner>,
    /// Given up, and carried out later or never.
    late: Vec<Owner>,
    had_to_be_first: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Deliver(usize),
    HangUp(usize),
    Send,
    CarryOut,
    LoseReply,
    GiveUp,
    CarryOutLate { is_lost: bool },
    Tell,
    Hear(usize),
    TakeBack { reply_is_lost: bool },
}

impl World {
    fn take_back(&mut self, rules: Rules, owner: Owner) {
        if rules != Rules::NothingIsTakenBack {
            self.taking_back.push(owner);
            self.taking_back.sort_unstable();
        }
    }

    /// The mark of a caller that is gone goes to the next delivery that queues, or is taken back.
    fn hand_on(&mut self, rules: Rules, owner: Owner) {
        match self.callers.iter_mut().find(|caller| **caller == Caller::Queued) {
            Some(next) if rules != Rules::NoHandOver => *next = Caller::Told { is_first: true },
            _ => self.take_back(rules, owner),
        }
    }

    fn is_quiet(&self) -> bool {
        let waits = |caller: &Caller| {
            matches!(
                caller,
                Caller::Queued | Caller::InStatement | Caller::Told { .. } | Caller::GoneInStatement
            )
        };
        self.taking_back.is_empty() && self.late.is_empty() && !self.callers.iter().any(waits)
    }

    fn runs(&self) -> usize {
        self.callers.iter().filter(|&&caller| caller == Caller::Runs).count()
    }
}

impl Model for Marks {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World {
            row: None,
            callers: vec![Caller::Unsent; self.deliveries],
            statement: None,
            is_first: None,
            taking_back: Vec::new(),
            late: Vec::new(),
            had_to_be_first: false,
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        let next = world.callers.iter().position(|&caller| caller == Caller::Unsent);
        actions.extend(next.map(Action::Deliver));
        for (i, caller) in world.callers.iter().enumerate() {
            match caller {
                Caller::Queued | Caller::InStatement => actions.push(Action::HangUp(i)),
                Caller::Told { .. } => actions.extend([Action::Hear(i), Action::HangUp(i)]),
                _ => {}
            }
        }
        match (world.statement, world.is_first) {
            (None, _) if world.callers.contains(&Caller::Queued) => actions.push(Action::Send),
            (Some(_), None) => actions.extend([Action::CarryOut, Action::LoseReply, Action::GiveUp]),
            (Some(_), Some(_)) => actions.push(Action::Tell),
            _ => {}
        }
        if !world.late.is_empty() {
            actions.extend([true, false].map(|is_lost| Action::CarryOutLate { is_lost }));
        }
        if !world.taking_back.is_empty() {
            actions.extend([true, false].map(|reply_is_lost| Action::TakeBack { reply_is_lost }));
        }
    }

    fn next_state(&self, before: &World, action: Action) -> Option<World> {
        let mut world = before.clone();
        match action {
            Action::Deliver(i) => world.callers[i] = Caller::Queued,
            Action::HangUp(i) => {
                if before.callers[i] == (Caller::Told { is_first: true }) {
                    world.hand_on(self.rules, before.row?);
                }
                world.callers[i] = match before.callers[i] {
                    Caller::InStatement => Caller::GoneInStatement,
                    _ => Caller::Gone,
                };
            }
            Action::Send => {
                world.statement =
                    before.callers.iter().position(|&it| it == Caller::Queued).map(|it| (it, false));
                for caller in &mut world.callers {
                    if *caller == Caller::Queued {
                        *caller = Caller::InStatement;
                    }
                }
            }
            Action::CarryOut | Action::LoseReply => {
                let (owner, again) = before.statement?;
                let is_first = before.row.is_none() || again && before.row == Some(owner);
                world.row = before.row.or(Some(owner));
                if action == Action::CarryOut {
                    world.is_first = Some(is_first);
                } else if self.rules == Rules::NewOwnerAgain {
                    world.statement = Some((owner + self.deliveries, true));
                    // Once is enough to show it.
                    world.is_first = Some(world.row == Some(owner + self.deliveries));
                } else {
                    world.statement = Some((owner, true));
                }
            }
            Action::GiveUp => {
                let (owner, _) = before.statement?;
                for caller in &mut world.callers {
                    *caller = match *caller {
                        Caller::InStatement => Caller::Failed,
                        Caller::GoneInStatement => Caller::Gone,
                        other => other,
                    };
                }
                world.statement = None;
                world.late.push(owner);
                if self.rules != Rules::WhatIsGivenUpStays {
                    world.take_back(self.rules, owner);
                }
            }
            Action::CarryOutLate { is_lost } => {
                let owner = world.late.pop()?;
                if !is_lost {
                    world.row = before.row.or(Some(owner));
                }
            }
            Action::Tell => {
                let (owner, _) = before.statement?;
                let mut undelivered = before.is_first?;
                for (i, caller) in before.callers.iter().enumerate() {
                    match caller {
                        Caller::InStatement => {
                            let is_its_own = self.rules != Rules::NoHandOver || i == owner;
                            let is_first = undelivered && is_its_own;
                            world.had_to_be_first |= undelivered && !is_first;
                            world.callers[i] = Caller::Told { is_first };
                            undelivered &= !is_first || self.rules == Rules::FirstToAll;
                        }
                        Caller::GoneInStatement => world.callers[i] = Caller::Gone,
                        _ => {}
                    }
                }
                if undelivered {
                    world.hand_on(self.rules, owner);
                }
                (world.statement, world.is_first) = (None, None);
            }
            Action::Hear(i) => {
                let is_first = before.callers[i] == (Caller::Told { is_first: true });
                world.callers[i] = if is_first { Caller::Runs } else { Caller::Duplicate };
            }
            Action::TakeBack { reply_is_lost } => {
                let owner = *before.taking_back.last()?;
                // Repeated for longer than a statement is late.
                let is_last = !before.late.contains(&owner) || self.rules == Rules::TakenBackOnce;
                if !reply_is_lost && is_last {
                    world.taking_back.pop();
                }
                if world.row == Some(owner) || self.rules == Rules::TakenBackByEvent {
                    world.row = None;
                }
            }
        }
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always("at most one delivery runs", |_, world: &World| world.runs() <= 1),
            Property::always("a mark that nobody heard of is taken back", |_, world: &World| {
                !world.is_quiet() || world.row.is_none() || world.runs() > 0
            }),
            Property::always("a mark is handed over to a caller that is still there", |_, world: &World| {
                !world.had_to_be_first
            }),
            Property::sometimes("a delivery runs by the mark of another", |_, world: &World| {
                world.row.and_then(|owner| world.callers.get(owner)) == Some(&Caller::Gone)
                    && world.runs() == 1
            }),
        ];
        if self.nothing_is_lost {
            properties.push(Property::always("a duplicate has somebody who runs", |_, world: &World| {
                !world.is_quiet() || !world.callers.contains(&Caller::Duplicate) || world.runs() > 0
            }));
        }
        properties
    }
}

#[test]
fn every_promise_holds_for_four_deliveries() {
    let checked =
        Marks { rules: Rules::All, deliveries: 4, nothing_is_lost: false }.checker().spawn_bfs().join();
    println!("{} states", checked.unique_state_count());
    checked.assert_properties();
}

fn breaks(rules: Rules, promise: &'static str) {
    let broken = (1..20).find_map(|depth| {
        let marks = Marks { rules, deliveries: 3, nothing_is_lost: true };
        marks.checker().target_max_depth(depth).spawn_bfs().join().discovery(promise)
    });
    println!("{rules:?}: {:?}", broken.expect("a rule less breaks the promise").into_actions());
}

#[test]
fn without_a_hand_over_a_waiting_caller_is_a_false_duplicate() {
    breaks(Rules::NoHandOver, "a mark is handed over to a caller that is still there");
}

#[test]
fn a_mark_handed_to_everybody_runs_twice() {
    breaks(Rules::FirstToAll, "at most one delivery runs");
}

#[test]
fn without_taking_back_a_mark_stays_that_nobody_heard_of() {
    breaks(Rules::NothingIsTakenBack, "a mark that nobody heard of is taken back");
}

#[test]
fn without_taking_back_a_mark_outlives_its_failed_call() {
    breaks(Rules::WhatIsGivenUpStays, "a mark that nobody heard of is taken back");
}

#[test]
fn taken_back_once_a_mark_stays_that_is_made_after_it() {
    breaks(Rules::TakenBackOnce, "a mark that nobody heard of is taken back");
}

#[test]
fn taking_back_by_event_takes_another_delivery_s_mark() {
    breaks(Rules::TakenBackByEvent, "at most one delivery runs");
}

#[test]
fn a_statement_sent_again_with_new_owners_meets_its_own_mark() {
    breaks(Rules::NewOwnerAgain, "a mark that nobody heard of is taken back");
}

#[test]
fn a_delivery_before_the_take_back_is_a_false_duplicate() {
    // This is the cost of "at most once", and the reason for `claim`.
    breaks(Rules::All, "a duplicate has somebody who runs");
}
