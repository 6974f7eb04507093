//! Checks a shared mark in every order of events: replies are lost, callers go at any moment, a statement is
//! given up and still carried out, and undelivered marks are taken back, by statements that may be carried out late
//! themselves, while the next delivery arrives.
//!
//! The model has one event and several deliveries, and is written after `marks.rs` and `unmark_queue.rs`. A crash is
//! left out, because a plain fence loses an event whose delivery crashes.

mod world;

use stateright::{Checker, Model, Property};

use self::world::{Caller, Next, Rules, Unmarked, World};

#[derive(Clone, Debug)]
struct Marks {
    rules: Rules,
    deliveries: usize,
    /// Requires more than a plain fence promises.
    nothing_is_lost: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Deliver(usize),
    HangUp(usize),
    Send,
    CarryOut,
    LoseReply,
    /// An attempt gets no answer, and is carried out later or never.
    Delay,
    GiveUp,
    CarryOutLate {
        is_lost: bool,
    },
    Tell,
    Hear(usize),
    SendUnmark,
    Unmark(Unmarked),
    UnmarkLate {
        is_lost: bool,
    },
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
            late_unmarks: Vec::new(),
            had_to_be_first: false,
            errors: 0,
            errors_before: vec![0; self.deliveries],
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
        let has_queued = world.callers.contains(&Caller::Queued);
        match (world.statement, world.is_first) {
            (None, _) if has_queued && !matches!(world.next(self.rules), Next::Wait) => {
                actions.push(Action::Send);
            }
            (Some(_), None) => {
                actions.extend([Action::CarryOut, Action::LoseReply, Action::Delay, Action::GiveUp]);
            }
            (Some(_), Some(_)) => actions.push(Action::Tell),
            _ => {}
        }
        if !world.late.is_empty() {
            actions.extend([true, false].map(|is_lost| Action::CarryOutLate { is_lost }));
        }
        if world.taking_back.iter().any(|left| left.is_sent) {
            let all = [Unmarked::Answered, Unmarked::NotCarriedOut, Unmarked::ReplyIsLost, Unmarked::Late];
            actions.extend(all.map(Action::Unmark));
        } else if !world.taking_back.is_empty() {
            actions.push(Action::SendUnmark);
        }
        if !world.late_unmarks.is_empty() {
            actions.extend([true, false].map(|is_lost| Action::UnmarkLate { is_lost }));
        }
    }

    fn next_state(&self, before: &World, action: Action) -> Option<World> {
        let mut world = before.clone();
        match action {
            Action::Deliver(i) => {
                world.errors_before[i] = before.errors;
                world.callers[i] = Caller::Queued;
            }
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
                world.statement = match before.next(self.rules) {
                    Next::TakeOver => Some((world.take_over()?, true)),
                    _ => before.callers.iter().position(|&it| it == Caller::Queued).map(|it| (it, false)),
                };
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
            Action::Delay => {
                let (owner, _) = before.statement?;
                world.statement = Some((owner, true));
                world.late.push(owner);
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
                world.errors += 1;
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
            Action::Tell => world.tell(self.rules)?,
            Action::Hear(i) => {
                let is_first = before.callers[i] == (Caller::Told { is_first: true });
                world.callers[i] = if is_first { Caller::Runs } else { Caller::Duplicate };
            }
            Action::SendUnmark => world.taking_back.first_mut()?.is_sent = true,
            Action::Unmark(unmarked) => world.unmark(self.rules, unmarked)?,
            Action::UnmarkLate { is_lost } => {
                let owner = world.late_unmarks.pop()?;
                if !is_lost && world.row == Some(owner) {
                    world.row = None;
                }
            }
        }
        Some(world)
    }

    /// Statements that are given up again and again bring nothing new.
    fn within_boundary(&self, world: &World) -> bool {
        world.late.len() <= 2
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always("at most one delivery runs", |_, world: &World| world.runs() <= 1),
            Property::always("a mark of a delivery that runs stays", |_, world: &World| {
                world.runs() == 0 || world.row.is_some()
            }),
            Property::always("a mark that nobody heard of is taken back", |_, world: &World| {
                !world.is_quiet() || world.row.is_none() || world.runs() > 0
            }),
            Property::always("a mark is handed over to a caller that is still there", |_, world: &World| {
                !world.had_to_be_first
            }),
            Property::always("no event is lost after an error", |_, world: &World| {
                !world.is_quiet() || !world.has_lost_after_an_error()
            }),
            Property::sometimes("a delivery runs by the mark of another", |_, world: &World| {
                world.row.and_then(|owner| world.callers.get(owner)) == Some(&Caller::Gone)
                    && world.runs() == 1
            }),
            Property::sometimes("a delivery runs by the mark of one that failed", |_, world: &World| {
                world.row.and_then(|owner| world.callers.get(owner)) == Some(&Caller::Failed)
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
fn every_promise_holds_for_three_deliveries() {
    let marks = Marks { rules: Rules::All, deliveries: 3, nothing_is_lost: false };
    let checked = marks.checker().threads(2).spawn_bfs().join();
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
fn a_redelivery_that_does_not_take_over_is_a_false_duplicate() {
    breaks(Rules::NothingIsTakenOver, "no event is lost after an error");
}

#[test]
fn a_mark_taken_over_while_it_is_deleted_is_lost() {
    breaks(Rules::TakenOverWhileSent, "a mark of a delivery that runs stays");
}

#[test]
fn a_mark_taken_over_that_is_deleted_late_runs_twice() {
    breaks(Rules::TakenOverInDoubt, "at most one delivery runs");
}

#[test]
fn a_duplicate_of_another_mark_can_leave_its_own() {
    breaks(Rules::DuplicatesEndDoubt, "a mark that nobody heard of is taken back");
}

#[test]
fn a_delivery_before_the_take_back_is_a_false_duplicate() {
    // This is the cost of "at most once", and the reason for `claim`.
    breaks(Rules::All, "a duplicate has somebody who runs");
}
