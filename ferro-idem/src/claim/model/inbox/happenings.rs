//! The actions that can happen to the events of an inbox, and the promises that hold after each of them.

use std::collections::BTreeSet;

use stateright::{Model, Property};

use super::tables::{Rules, State, Step, Tables};
use super::world::{Breach, Delivery, Hold, How, Sender, Stage, Worker, World};

/// The size of the model.
#[derive(Clone, Debug)]
pub(super) struct Inbox {
    pub(super) rules: Rules,
    /// How each event comes, and its key.
    pub(super) events: Vec<(How, u8)>,
    pub(super) workers: usize,
    /// How often each worker takes an event. Without a bound, releases would go on for ever.
    pub(super) takes: u8,
    pub(super) max_attempts: u8,
    /// How often a sender delivers its event.
    pub(super) deliveries: u8,
    /// Whether a step can reach the store after its worker has given it up.
    pub(super) late: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    // Of the event with this number.
    Deliver(usize),
    Store(usize),
    StoreRow(usize),
    Acknowledge(usize),
    CrashReceiver(usize),
    Commit(usize),
    RollBack(usize),
    EndLease(usize),
    EndPause(usize),
    Purge(usize),
    // Of the worker with this number.
    Choose(usize, usize),
    Take(usize),
    HearTake(usize),
    Effect(usize),
    Settle(usize, Step),
    /// The step is sent, and arrives after the worker has given it up.
    GiveUp(usize, Step),
    CrashWorker(usize),
    ArriveLate,
    Sweep,
    CrashDatabase,
}

const STEPS_OF_A_RUN: [Step; 3] = [Step::BackOff, Step::Park, Step::Release];

impl Inbox {
    fn actions_of_sender(&self, world: &World, event: usize, actions: &mut Vec<Action>) {
        let sender = world.senders[event];
        match sender.delivery {
            Delivery::Nothing if sender.deliveries_left > 0 => actions.push(Action::Deliver(event)),
            Delivery::Nothing => {}
            Delivery::Storing { .. } => actions.extend([Action::Store(event), Action::CrashReceiver(event)]),
            Delivery::HalfStored { .. } => {
                actions.extend([Action::StoreRow(event), Action::CrashReceiver(event)]);
            }
            Delivery::Stored => actions.extend([Action::Acknowledge(event), Action::CrashReceiver(event)]),
            Delivery::Open => actions.extend([Action::Commit(event), Action::RollBack(event)]),
        }
        match world.tables.rows[event].map(|row| row.state) {
            Some(State::Running { is_live: true }) => actions.push(Action::EndLease(event)),
            Some(State::Waiting { is_due: false }) => actions.push(Action::EndPause(event)),
            _ => {}
        }
        if self.rules == Rules::PurgeTakesWaiting && world.tables.seen[event] {
            actions.push(Action::Purge(event));
        }
    }

    fn actions_of_worker(&self, world: &World, worker: usize, actions: &mut Vec<Action>) {
        let steps: &[Step] = match world.workers[worker].stage {
            Stage::Idle => {
                if world.workers[worker].takes_left > 0 {
                    let events = 0..self.events.len();
                    let due = events.filter(|event| world.tables.may_choose(self.rules, *event));
                    actions.extend(due.map(|event| Action::Choose(worker, event)));
                }
                return;
            }
            Stage::Chosen(_) => {
                actions.extend([Action::Take(worker), Action::CrashWorker(worker)]);
                return;
            }
            Stage::Taken(_) => {
                actions.extend([Action::HearTake(worker), Action::CrashWorker(worker)]);
                return;
            }
            Stage::Running(hold) => {
                if hold.believes {
                    actions.push(Action::Effect(worker));
                }
                &STEPS_OF_A_RUN
            }
            Stage::Done(_) => &[Step::Complete],
        };
        actions.push(Action::CrashWorker(worker));
        actions.extend(steps.iter().map(|step| Action::Settle(worker, *step)));
        if self.late && world.late.is_none() {
            actions.extend(steps.iter().map(|step| Action::GiveUp(worker, *step)));
        }
    }

    /// Carries out an action of a sender, a receiver or the time.
    fn of_sender(&self, world: &mut World, action: Action) -> Option<()> {
        match action {
            Action::Deliver(event) => {
                world.senders[event].deliveries_left -= 1;
                let follows = world.tables.follows(event);
                world.senders[event].delivery = match self.events[event].0 {
                    How::Receive if self.rules == Rules::AcknowledgesFirst => {
                        world.senders[event].is_acknowledged = true;
                        Delivery::Storing { follows }
                    }
                    How::Receive => Delivery::Storing { follows },
                    How::Put if world.tables.seen[event] => Delivery::Stored,
                    How::Put => {
                        world.tables.seen[event] = true;
                        world.insert(event, follows, true);
                        Delivery::Open
                    }
                };
            }
            Action::Store(event) => {
                let Delivery::Storing { follows } = world.senders[event].delivery else { return None };
                world.senders[event].delivery = Delivery::Stored;
                if !world.tables.seen[event] {
                    world.tables.seen[event] = true;
                    if self.rules == Rules::ReceiveInTwoTransactions {
                        world.senders[event].delivery = Delivery::HalfStored { follows };
                    } else {
                        world.insert(event, follows, false);
                    }
                }
            }
            Action::StoreRow(event) => {
                let Delivery::HalfStored { follows } = world.senders[event].delivery else { return None };
                world.insert(event, follows, false);
                world.senders[event].delivery = Delivery::Stored;
            }
            Action::Acknowledge(event) => {
                world.senders[event].delivery = Delivery::Nothing;
                world.senders[event].is_acknowledged = true;
            }
            Action::CrashReceiver(event) => world.senders[event].delivery = Delivery::Nothing,
            Action::Commit(event) => {
                world.tables.rows[event].as_mut()?.is_open = false;
                world.senders[event].delivery = Delivery::Stored;
            }
            Action::RollBack(event) => {
                (world.tables.rows[event], world.tables.seen[event]) = (None, false);
                world.inserts[event] -= 1;
                world.senders[event].delivery = Delivery::Nothing;
            }
            Action::EndLease(event) => {
                world.stop_believing(event);
                world.tables.rows[event].as_mut()?.state = State::Running { is_live: false };
            }
            Action::EndPause(event) => {
                world.tables.rows[event].as_mut()?.state = State::Waiting { is_due: true };
            }
            Action::Purge(event) => world.tables.seen[event] = false,
            _ => return None,
        }
        Some(())
    }

    fn take(&self, world: &mut World, worker: usize, event: usize) {
        world.workers[worker].stage = Stage::Idle;
        if world.tables.rows[event].is_some_and(|row| row.attempts >= self.max_attempts) {
            world.tables.park_used_up(event);
            return;
        }
        let Some(proof) = world.tables.take(self.rules, event, worker) else { return };
        world.grant(event, proof);
        world.workers[worker].stage = Stage::Taken(Hold { event, proof, believes: true });
    }
}

impl Model for Inbox {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let count = self.events.len();
        let sender =
            Sender { deliveries_left: self.deliveries, delivery: Delivery::Nothing, is_acknowledged: false };
        vec![World {
            tables: Tables {
                seen: vec![false; count],
                rows: vec![None; count],
                keys: self.events.iter().map(|(_, key)| *key).collect(),
                last_number: 0,
            },
            senders: vec![sender; count],
            workers: vec![Worker { takes_left: self.takes, stage: Stage::Idle }; self.workers],
            late: None,
            inserts: vec![0; count],
            begun: vec![0; count],
            effects: vec![false; count],
            granted: vec![None; count],
            breaches: BTreeSet::new(),
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        for event in 0..self.events.len() {
            self.actions_of_sender(world, event, actions);
        }
        for worker in 0..self.workers {
            self.actions_of_worker(world, worker, actions);
        }
        if world.late.is_some() {
            actions.push(Action::ArriveLate);
        }
        if (0..self.events.len()).any(|event| world.tables.is_forgotten_head(event)) {
            actions.push(Action::Sweep);
        }
        let is_chosen = |worker: &Worker| matches!(worker.stage, Stage::Chosen(_));
        let is_open = |sender: &Sender| sender.delivery == Delivery::Open;
        if world.workers.iter().any(is_chosen) || world.senders.iter().any(is_open) {
            actions.push(Action::CrashDatabase);
        }
    }

    fn next_state(&self, before: &World, action: Action) -> Option<World> {
        let mut world = before.clone();
        match action {
            Action::Choose(worker, event) => {
                let is_takeover = matches!(before.tables.rows[event]?.state, State::Running { .. });
                if !is_takeover && before.tables.has_earlier(event) {
                    world.breaches.insert(Breach::OutOfOrder);
                }
                world.workers[worker].takes_left -= 1;
                world.workers[worker].stage = Stage::Chosen(event);
                world.tables.rows[event].as_mut()?.locked = Some(worker);
            }
            Action::Take(worker) => {
                let Stage::Chosen(event) = before.workers[worker].stage else { return None };
                self.take(&mut world, worker, event);
            }
            Action::HearTake(worker) => {
                let hold = before.hold_of(worker)?;
                world.begun[hold.event] += 1;
                if world.begun[hold.event] > self.max_attempts {
                    world.breaches.insert(Breach::TooManyAttempts);
                }
                world.workers[worker].stage = Stage::Running(hold);
            }
            Action::Effect(worker) => {
                let hold = before.hold_of(worker)?;
                world.effects[hold.event] = true;
                world.workers[worker].stage = Stage::Done(hold);
            }
            Action::Settle(worker, step) => {
                let hold = before.hold_of(worker)?;
                world.workers[worker].stage = Stage::Idle;
                world.settle(self.rules, (hold.event, hold.proof, step), false);
            }
            Action::GiveUp(worker, step) => {
                let hold = before.hold_of(worker)?;
                world.workers[worker].stage = Stage::Idle;
                world.late = Some((hold.event, hold.proof, step));
            }
            Action::CrashWorker(worker) => {
                if let Stage::Chosen(event) = before.workers[worker].stage {
                    world.tables.rows[event].as_mut()?.locked = None;
                }
                world.workers[worker].stage = Stage::Idle;
            }
            Action::ArriveLate => {
                let late = world.late.take()?;
                world.settle(self.rules, late, true);
            }
            Action::Sweep => world.tables.sweep(self.rules),
            Action::CrashDatabase => world.crash_database(),
            _ => self.of_sender(&mut world, action)?,
        }
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        fn never(world: &World, breach: Breach) -> bool {
            !world.breaches.contains(&breach)
        }
        vec![
            Property::always(super::ONE_OF_A_KEY, |_, world: &World| {
                let mut keys: Vec<u8> = world.beliefs().map(|hold| world.tables.keys[hold.event]).collect();
                let all = keys.len();
                keys.sort_unstable();
                keys.dedup();
                keys.len() == all
            }),
            Property::always("a worker that believes that it holds an event holds it", |_, world: &World| {
                world.beliefs().all(|hold| {
                    world.tables.rows[hold.event].is_some_and(|row| {
                        row.held == Some(hold.proof) && row.state == State::Running { is_live: true }
                    })
                })
            }),
            Property::always(super::NOT_LOST, |model: &Self, world: &World| world.can_finish(model.rules)),
            Property::always(super::ACKNOWLEDGED, |_, world: &World| {
                let is_there = |event: usize| world.tables.rows[event].is_some_and(|row| !row.is_open);
                let mut acknowledged =
                    (0..world.senders.len()).filter(|event| world.senders[*event].is_acknowledged);
                acknowledged.all(|event| is_there(event) || world.effects[event])
            }),
            Property::always(super::STORED_ONCE, |_, world: &World| never(world, Breach::StoredTwice)),
            Property::always(super::LATE, |_, world: &World| never(world, Breach::LateWorkerSettled)),
            Property::always(super::IN_ORDER, |_, world: &World| never(world, Breach::OutOfOrder)),
            Property::always(super::ATTEMPTS, |_, world: &World| never(world, Breach::TooManyAttempts)),
            Property::always(super::TOKEN_GROWS, |_, world: &World| never(world, Breach::TokenNotHigher)),
            Property::always("no event is completed without its effect", |_, world: &World| {
                never(world, Breach::CompletedWithoutEffect)
            }),
            // Proves that the model reaches takeovers, retries and completions at all.
            Property::sometimes("an event is processed after a takeover", |_, world: &World| {
                (0..world.senders.len()).any(|event| {
                    world.inserts[event] > 0
                        && world.tables.rows[event].is_none()
                        && world.granted[event].is_some_and(|granted| granted.token > 1)
                })
            }),
        ]
    }
}
