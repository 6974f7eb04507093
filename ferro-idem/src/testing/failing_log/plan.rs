//! What a log was told to fail in, and what it was called for.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::steps::Step;
use crate::steps::failing::Fails;

#[derive(Debug, Default)]
pub(super) struct Plan(Mutex<Told>);

#[derive(Debug, Default)]
struct Told {
    /// For one call each.
    next: Vec<(Step, Fails)>,
    /// For all calls. The last one of a step holds.
    every: Vec<(Step, Fails)>,
    calls: Vec<Step>,
}

impl Plan {
    /// Nothing that runs under the lock can panic half-way.
    fn told(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn fail_next(&self, step: Step, fails: Fails) {
        self.told().next.push((step, fails));
    }

    pub(super) fn fail_every(&self, step: Step, fails: Fails) {
        let mut told = self.told();
        told.every.retain(|(of, _)| *of != step);
        told.every.push((step, fails));
    }

    pub(super) fn stop_failing(&self) {
        let mut told = self.told();
        told.next.clear();
        told.every.clear();
    }

    pub(super) fn unused(&self) -> Vec<(Step, Fails)> {
        self.told().next.clone()
    }

    pub(super) fn calls(&self) -> Vec<Step> {
        self.told().calls.clone()
    }

    /// Records a call, and says whether it fails.
    pub(super) fn next(&self, step: Step) -> Option<Fails> {
        let mut told = self.told();
        told.calls.push(step);
        if let Some(position) = told.next.iter().position(|(of, _)| *of == step) {
            return Some(told.next.remove(position).1);
        }
        told.every.iter().find(|(of, _)| *of == step).map(|(_, fails)| *fails)
    }
}
