//! The actions that can happen to the deliveries of one event, and the promises that hold after each of them.
//!
//! Events share nothing, so the model has one event. A pause of a delivery is an order in which others act
//! first.

use std::collections::BTreeSet;

use stateright::{Model, Property};

use super::super::{ClaimOutcome, Ownership};
use super::store::{Rules, Store};
use super::world::{Breach, Delivery, Hold, Late, Stage, Step, World, owner_of};
use crate::owner::Owner;

/// How often one delivery claims. Without a bound, deliveries could take the event from each other for ever.
const MAX_CLAIMS: u8 = 2;

/// The size of the model: how many deliveries run at once, and how many there are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claims {
    pub(super) rules: Rules,
    pub(super) workers: usize,
    pub(super) deliveries: usize,
    /// Whether a request can reach the store after its delivery has given it up as lost.
    pub(super) late: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Heard,
    Lost,
}

/// The number is the delivery that acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Deliver(usize),
    /// The store carries out the claim.
    Claim(usize),
    /// The answer to the claim arrives, or it is lost.
    Answer(usize, Reply),
    /// Group commit: the statement claims the event for another delivery of the same batch.
    GoAlong(usize),
    Look(usize),
    GiveUpAsLost(usize),
    ArriveLate(usize),
    Effect(usize),
    Renew(usize),
    Complete(usize, Reply),
    Release(usize),
    /// The caller is gone before the answer, so no body runs.
    Withdraw(usize),
    /// A crash, or a hang-up whose release never reaches the store.
    Crash(usize),
    Expire,
    Purge,
}

impl Claims {
    /// The owner of a delivery that has claimed so often.
    fn owner_after(&self, claims: u8) -> u8 {
        if self.rules == Rules::RetryHasANewOwner { claims } else { 0 }
    }

    /// Whether, after all leases have ended, the next delivery finds the event processed or can process it.
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
                Stage::Claiming { is_retry } => {
                    if delivery.claims < MAX_CLAIMS {
                        actions.push(Action::Claim(i));
                    }
                    if !is_retry {
                        actions.push(Action::GoAlong(i));
                    }
                    if self.late && delivery.late == Late::Never {
                        actions.push(Action::GiveUpAsLost(i));
                    }
                }
                Stage::Looking => actions.push(Action::Look(i)),
                Stage::Holding(Hold { step, .. }) => match step {
                    Step::Unanswered => {
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
                    // A second release, and a completion after a release, which must be refused.
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
            Action::Deliver(i) => world.deliveries[i].stage = Stage::Claiming { is_retry: false },
            Action::Claim(i) => {
                let owner = self.owner_after(before.deliveries[i].claims);
                world.deliveries[i].claims += 1;
                world.deliveries[i].stage = match world.claim(self.rules, owner_of(i, owner)) {
                    ClaimOutcome::Acquired { token } => Stage::Holding(Hold {
                        owner,
                        token,
                        step: Step::Unanswered,
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
                world.deliveries[i].stage = Stage::Claiming { is_retry: true };
            }
            Action::Look(i) => match world.store.look() {
                Some(outcome) => world.refuse(i, outcome),
                None => world.deliveries[i].stage = Stage::Claiming { is_retry: false },
            },
            Action::GiveUpAsLost(i) => {
                world.deliveries[i].stage = Stage::Claiming { is_retry: true };
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
                        world.breaches.insert(Breach::SameTokenTwice);
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
                    // The token is as before the claim, and the row has no owner.
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
                    // The retention is longer than any request takes.
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
            Property::always(
                "a delivery that believes that it holds the event holds it",
                |_, world: &World| {
                    world.beliefs().all(|held| {
                        world.store.0.is_some_and(|row| row.held == held)
                            && (world.store.is_live() || world.store.is_processed())
                    })
                },
            ),
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
                !world.breaches.contains(&Breach::TokenNotHigher)
            }),
            Property::always(
                "every second effect is under a fencing token of its own",
                |_, world: &World| !world.breaches.contains(&Breach::SameTokenTwice),
            ),
            Property::always("no delivery is in its own way", |_, world: &World| {
                !world.breaches.contains(&Breach::InItsOwnWay)
            }),
            // Proves that the model reaches takeovers and completions at all.
            Property::sometimes("an event is processed after a takeover", |_, world: &World| {
                world.store.0.is_some_and(|row| row.held.token > 1) && world.store.is_processed()
            }),
        ]
    }
}
