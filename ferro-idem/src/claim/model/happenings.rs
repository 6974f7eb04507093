//! What can happen to the deliveries of one event, in any order, and what is promised meanwhile.
//!
//! Events share nothing, so one is enough. A pause is any order in which others go first.

use std::collections::BTreeSet;

use stateright::{Model, Property};

use super::super::{ClaimOutcome, Ownership};
use super::store::{Rules, Store};
use super::world::{Breach, Delivery, Hold, Late, Stage, Step, World, owner_of};
use crate::owner::Owner;

/// How often one delivery claims. More of them could take the event from each other for ever.
const MOST_CLAIMS: u8 = 2;

/// How many deliveries are under way at once, and how many there are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claims {
    pub(super) rules: Rules,
    pub(super) workers: usize,
    pub(super) deliveries: usize,
    /// Whether a request that was given up as lost can reach the store after all.
    pub(super) late: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Heard,
    Lost,
}

/// Each is of the delivery that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Deliver(usize),
    /// The store carries the claim out.
    Claim(usize),
    /// The answer to it arrives, or never does.
    Answer(usize, Reply),
    /// Group commit: another delivery's claim went into the statement in place of this one's.
    GoAlong(usize),
    Look(usize),
    GiveUpAsLost(usize),
    ArriveLate(usize),
    Effect(usize),
    Renew(usize),
    Complete(usize, Reply),
    Release(usize),
    /// The caller has gone before the answer: no body runs.
    Withdraw(usize),
    /// Or a hang-up whose release never reaches the store.
    Crash(usize),
    Expire,
    Purge,
}

impl Claims {
    /// Of a delivery that claimed so often.
    fn owner_after(&self, claims: u8) -> u8 {
        if self.rules == Rules::RetryHasANewOwner { claims } else { 0 }
    }

    /// From anywhere: once leases have run out, the next delivery finds the event processed, or can
    /// process it.
    fn can_finish(&self, world: &World) -> bool {
        let mut store = world.store;
        store.expire();
        let owner = Owner::from_bytes([0xfe; 16]);
        match store.claim(self.rules, owner) {
            ClaimOutcome::Acquired { token } => store.complete(self.rules, Ownership { owner, token }),
            ClaimOutcome::Processed => world.effects != 0,
            ClaimOutcome::InProgress { .. } => false,
        }
    }
}

impl Model for Claims {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let unsent = Delivery { stage: Stage::Unsent, claims: 0, late: Late::Never };
        vec![World {
            store: Store(None),
            deliveries: vec![unsent; self.deliveries],
            granted: None,
            effects: 0,
            breaches: BTreeSet::new(),
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        let under_way = world.deliveries.iter().filter(|delivery| World::is_under_way(delivery)).count();
        let next = world.deliveries.iter().position(|delivery| delivery.stage == Stage::Unsent);
        actions.extend(next.filter(|_| under_way < self.workers).map(Action::Deliver));
        for (i, delivery) in world.deliveries.iter().enumerate() {
            if World::is_under_way(delivery) {
                actions.push(Action::Crash(i));
            }
            if delivery.late == Late::OnItsWay {
                actions.push(Action::ArriveLate(i));
            }
            match delivery.stage {
                Stage::Unsent | Stage::Ended => {}
                Stage::Asking { again } => {
                    if delivery.claims < MOST_CLAIMS {
                        actions.push(Action::Claim(i));
                    }
                    if !again {
                        actions.push(Action::GoAlong(i));
                    }
                    if self.late && delivery.late == Late::Never {
                        actions.push(Action::GiveUpAsLost(i));
                    }
                }
                Stage::Looking => actions.push(Action::Look(i)),
                Stage::Holding(Hold { step, .. }) => match step {
                    Step::UndeliveredMark => {
                        actions.extend([Action::Answer(i, Reply::Heard), Action::Answer(i, Reply::Lost)]);
                        actions.push(Action::Withdraw(i));
                    }
                    Step::Working => {
                        actions.extend([Action::Effect(i), Action::Renew(i), Action::Release(i)]);
                    }
                    Step::Done => actions.extend([
                        Action::Renew(i),
                        Action::Complete(i, Reply::Heard),
                        Action::Complete(i, Reply::Lost),
                        Action::Release(i),
                    ]),
                    // Again, and the wrong way round: a delivery that released must not complete.
                    Step::GaveUp => {
                        actions.push(Action::Release(i));
                        if delivery.late != Late::Arrived {
                            actions.push(Action::Complete(i, Reply::Heard));
                        }
                    }
                },
            }
        }
        if world.store.is_live() {
            actions.push(Action::Expire);
        }
        if world.store.may_be_purged(self.rules) {
            actions.push(Action::Purge);
        }
    }

    fn next_state(&self, before: &World, action: Action) -> Option<World> {
        let mut world = before.clone();
        match action {
            Action::Deliver(i) => world.deliveries[i].stage = Stage::Asking { again: false },
            Action::Claim(i) => {
                let owner = self.owner_after(before.deliveries[i].claims);
                world.deliveries[i].claims += 1;
                world.deliveries[i].stage = match world.claim(self.rules, owner_of(i, owner)) {
                    ClaimOutcome::Acquired { token } => Stage::Holding(Hold {
                        owner,
                        token,
                        step: Step::UndeliveredMark,
                        believes: true,
                        forgotten: false,
                    }),
                    _ => Stage::Looking,
                };
            }
            Action::GoAlong(i) => world.deliveries[i].stage = Stage::Looking,
            Action::Answer(i, Reply::Heard) => {
                world.deliveries[i].stage =
                    Stage::Holding(Hold { step: Step::Working, ..before.hold_of(i)?.1 });
            }
            Action::Answer(i, Reply::Lost) => {
                world.deliveries[i].stage = Stage::Asking { again: true };
            }
            Action::Look(i) => match world.store.look() {
                Some(outcome) => world.refuse(i, outcome),
                None => world.deliveries[i].stage = Stage::Asking { again: false },
            },
            Action::GiveUpAsLost(i) => {
                world.deliveries[i].stage = Stage::Asking { again: true };
                world.deliveries[i].late = Late::OnItsWay;
            }
            Action::ArriveLate(i) => {
                world.deliveries[i].late = Late::Arrived;
                world.claim(self.rules, owner_of(i, 0));
            }
            Action::Effect(i) => {
                let (_, hold) = before.hold_of(i)?;
                if !hold.forgotten {
                    let bit = 1 << hold.token;
                    if world.effects & bit != 0 {
                        world.breaches.insert(Breach::SameFenceTwice);
                    }
                    world.effects |= bit;
                }
                world.deliveries[i].stage = Stage::Holding(Hold { step: Step::Done, ..hold });
            }
            Action::Renew(i) => {
                let (held, _) = before.hold_of(i)?;
                if !world.settle(held, |store| store.renew(self.rules, held)) {
                    world.deliveries[i].stage = Stage::Ended;
                }
            }
            Action::Complete(i, reply) => {
                let (held, _) = before.hold_of(i)?;
                let completed = world.settle(held, |store| store.complete(self.rules, held));
                if completed && world.effects == 0 {
                    world.breaches.insert(Breach::AcknowledgedWithoutEffect);
                }
                if reply == Reply::Heard {
                    world.deliveries[i].stage = Stage::Ended;
                }
            }
            Action::Release(i) => {
                let (held, released) = before.hold_of(i)?;
                world.settle(held, |store| store.release(self.rules, held));
                world.deliveries[i].stage =
                    Stage::Holding(Hold { step: Step::GaveUp, believes: false, ..released });
            }
            Action::Withdraw(i) => {
                let (held, withdrawn) = before.hold_of(i)?;
                if world.settle(held, |store| store.withdraw(self.rules, held)) {
                    // The token is as before the claim. Nobody is its owner.
                    world.granted = world.store.0.map(|row| row.held);
                }
                world.deliveries[i].stage =
                    Stage::Holding(Hold { step: Step::GaveUp, believes: false, ..withdrawn });
            }
            Action::Crash(i) => world.deliveries[i].stage = Stage::Ended,
            Action::Expire => {
                if self.rules != Rules::LeaseIsOnTheWorkersClock {
                    world.stop_believing(world.store.0?.held);
                }
                world.store.expire();
            }
            Action::Purge => {
                if world.store.is_processed() {
                    world.stop_believing(world.store.0?.held);
                }
                world.store = Store(None);
                (world.granted, world.effects) = (None, 0);
                for delivery in &mut world.deliveries {
                    // A retention is longer than any request is on its way.
                    delivery.late = Late::Never;
                    if let Stage::Holding(hold) = &mut delivery.stage {
                        hold.forgotten = true;
                    }
                }
            }
        }
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("at most one delivery believes that it holds the event", |_, world: &World| {
                world.beliefs().count() <= 1
            }),
            Property::always("who believes that it holds the event holds it", |_, world: &World| {
                world.beliefs().all(|held| {
                    world.store.0.is_some_and(|row| row.held == held)
                        && (world.store.is_live() || world.store.is_processed())
                })
            }),
            Property::always("at most one delivery may act on the store", |model: &Self, world: &World| {
                let may_act =
                    |(held, _): &(Ownership, Hold)| world.store.clone().complete(model.rules, *held);
                world.holds().filter(may_act).count() <= 1
            }),
            Property::always("what a zombie settles changes nothing", |_, world: &World| {
                !world.breaches.contains(&Breach::ZombieSettled)
            }),
            Property::always("what is processed stays processed", |_, world: &World| {
                !world.breaches.contains(&Breach::Unprocessed)
            }),
            Property::always("what is acknowledged has had its effect", |_, world: &World| {
                !world.breaches.contains(&Breach::AcknowledgedWithoutEffect)
            }),
            Property::always("no event is lost: it can always be finished", Self::can_finish),
            Property::always("a fencing token only grows", |_, world: &World| {
                !world.breaches.contains(&Breach::FenceNotHigher)
            }),
            Property::always(
                "every second effect is under a fencing token of its own",
                |_, world: &World| !world.breaches.contains(&Breach::SameFenceTwice),
            ),
            Property::always("no delivery is in its own way", |_, world: &World| {
                !world.breaches.contains(&Breach::InItsOwnWay)
            }),
            // What would be left out if the model could not get there.
            Property::sometimes("an event is processed after a takeover", |_, world: &World| {
                world.store.0.is_some_and(|row| row.held.token > 1) && world.store.is_processed()
            }),
        ]
    }
}
