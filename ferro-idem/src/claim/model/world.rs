//! The store and the deliveries of one event, between two things that happen.

use std::collections::BTreeSet;

use super::super::{ClaimOutcome, Ownership};
use super::store::{Rules, Store};
use crate::owner::Owner;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct World {
    pub(super) store: Store,
    pub(super) deliveries: Vec<Delivery>,
    /// The claim that the store last granted, since the row was made.
    pub(super) granted: Option<Ownership>,
    /// Under which fences the effect was had, since the row was made: a bit each.
    pub(super) effects: u16,
    pub(super) breaches: BTreeSet<Breach>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Delivery {
    pub(super) stage: Stage,
    /// How often the store carried its claim out.
    pub(super) claims: u8,
    pub(super) late: Late,
}

/// A claim that was given up as lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Late {
    Never,
    OnItsWay,
    Arrived,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Stage {
    Unsent,
    /// `again`: an attempt before may have been carried out.
    Asking {
        again: bool,
    },
    /// Somebody else got it: the next statement says how the event stands.
    Looking,
    Holding(Hold),
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Hold {
    pub(super) owner: u8,
    pub(super) token: u64,
    pub(super) step: Step,
    /// By its own clock, which ends the lease no later than the store's.
    pub(super) believes: bool,
    /// The row that it was of is purged.
    pub(super) forgotten: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Step {
    /// The answer is on its way.
    UndeliveredMark,
    Working,
    /// The effect was had.
    Done,
    GaveUp,
}

/// Of a promise about a step: what can be seen in a state needs no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Breach {
    ZombieSettled,
    Unprocessed,
    FenceNotHigher,
    SameFenceTwice,
    AcknowledgedWithoutEffect,
    InItsOwnWay,
}

/// The owner that a delivery is, by one of its owners.
pub(super) fn owner_of(delivery: usize, owner: u8) -> Owner {
    let mut bytes = [0; 16];
    bytes[..2].copy_from_slice(&[u8::try_from(delivery).unwrap(), owner]);
    Owner::from_bytes(bytes)
}

pub(super) fn delivery_of(owner: Owner) -> usize {
    usize::from(owner.as_bytes()[0])
}

impl World {
    pub(super) fn hold_of(&self, delivery: usize) -> Option<(Ownership, Hold)> {
        match self.deliveries[delivery].stage {
            Stage::Holding(hold) => {
                Some((Ownership { owner: owner_of(delivery, hold.owner), token: hold.token }, hold))
            }
            _ => None,
        }
    }

    pub(super) fn holds(&self) -> impl Iterator<Item = (Ownership, Hold)> {
        (0..self.deliveries.len()).filter_map(|delivery| self.hold_of(delivery))
    }

    pub(super) fn beliefs(&self) -> impl Iterator<Item = Ownership> {
        self.holds().filter(|(_, hold)| hold.believes).map(|(held, _)| held)
    }

    pub(super) fn is_under_way(delivery: &Delivery) -> bool {
        match delivery.stage {
            Stage::Unsent | Stage::Ended => false,
            Stage::Asking { .. } | Stage::Looking => true,
            Stage::Holding(hold) => hold.step != Step::GaveUp,
        }
    }

    /// What the store does for a claim. Nobody need be there to hear it.
    pub(super) fn claim(&mut self, rules: Rules, owner: Owner) -> ClaimOutcome {
        let outcome = self.store.claim(rules, owner);
        if let ClaimOutcome::Acquired { token } = outcome {
            let held = Ownership { owner, token };
            if self.granted.is_some_and(|before| before != held && before.token >= token) {
                self.breaches.insert(Breach::FenceNotHigher);
            }
            self.granted = Some(held);
        }
        outcome
    }

    /// What a delivery does that did not get the event.
    pub(super) fn refuse(&mut self, delivery: usize, outcome: ClaimOutcome) {
        let holder = self.store.0.map(|row| delivery_of(row.held.owner));
        let is_busy = matches!(outcome, ClaimOutcome::InProgress { .. });
        // A late claim of its own may well be in its way: the lease ends.
        if is_busy && holder == Some(delivery) && self.deliveries[delivery].late != Late::Arrived {
            self.breaches.insert(Breach::InItsOwnWay);
        }
        if outcome == ClaimOutcome::Processed && self.effects == 0 {
            self.breaches.insert(Breach::AcknowledgedWithoutEffect);
        }
        self.deliveries[delivery].stage = Stage::Ended;
    }

    /// One of the steps that a claim takes at the store.
    pub(super) fn settle(&mut self, held: Ownership, step: impl FnOnce(&mut Store) -> bool) -> bool {
        let before = self.store;
        let settled = step(&mut self.store);
        if self.granted != Some(held) && (settled || self.store != before) {
            self.breaches.insert(Breach::ZombieSettled);
        }
        if before.is_processed() && !self.store.is_processed() {
            self.breaches.insert(Breach::Unprocessed);
        }
        settled
    }

    /// A lease is over, by the clock of its first holder.
    pub(super) fn stop_believing(&mut self, over: Ownership) {
        for (i, delivery) in self.deliveries.iter_mut().enumerate() {
            if let Stage::Holding(hold) = &mut delivery.stage
                && (over == Ownership { owner: owner_of(i, hold.owner), token: hold.token })
            {
                hold.believes = false;
            }
        }
    }
}

/// The same world for all that can still happen, but for its names and numbers.
pub(super) fn representative(world: &World) -> World {
    let mut same = world.clone();
    for delivery in &mut same.deliveries {
        if delivery.stage == Stage::Ended {
            delivery.claims = 0;
        }
    }
    let mut order: Vec<usize> = (0..world.deliveries.len()).collect();
    let is_of = |held: Option<Ownership>, i| held.is_some_and(|held| delivery_of(held.owner) == i);
    let held = world.store.0.map(|row| row.held);
    order.sort_by_key(|&i| (same.deliveries[i], is_of(held, i), is_of(world.granted, i)));
    let rename = |held: &mut Ownership| {
        let [delivery, owner, ..] = *held.owner.as_bytes();
        // A claim that was taken back is nobody's.
        if let Some(place) = order.iter().position(|&i| i == usize::from(delivery)) {
            held.owner = owner_of(place, owner);
        }
    };
    same.deliveries = order.iter().map(|&i| same.deliveries[i]).collect();
    same.store.0.iter_mut().for_each(|row| rename(&mut row.held));
    same.granted.iter_mut().for_each(rename);
    // What counts: whether there was an effect, and one under a fence that somebody has or may get again.
    let tokens = world.holds().map(|(held, _)| held.token).chain(world.granted.map(|held| held.token));
    let counts = tokens.fold(0, |bits, token| bits | (1 << token));
    same.effects = (world.effects & counts) | u16::from(world.effects != 0);
    same
}
