//! Renewals, completions and releases that share a statement. Each step has a group of its own.

use std::sync::Arc;
use std::time::Duration;

use super::batch::{Batch, Follower, Leftover};
use super::{BatchAnswer, BatchRequest, MAX_BYTES, max_unpolled};
use crate::sql::dialect::Dialect;
use crate::sql::event_state::{ClaimStep, HeldClaim};
use crate::sql::request::UpdateClaims;
use crate::sql::session::Session;

/// A step to take with a held claim.
pub(in crate::sql) struct ClaimUpdate {
    pub(in crate::sql) step: ClaimStep,
    pub(in crate::sql) held: HeldClaim,
}

type UpdateFollower = Follower<ClaimUpdate, bool>;

impl<D: Dialect> BatchRequest<Session<D>> for ClaimUpdate {
    type Answer = bool;

    fn id(&self) -> &Arc<str> {
        &self.held.id
    }

    fn operation(&self) -> &'static str {
        self.step.operation()
    }

    fn max_unpolled() -> Option<Duration> {
        max_unpolled::<D>()
    }

    fn is_sent_without_callers(&self) -> bool {
        self.step.is_sent_without_callers()
    }

    /// Different claims of one event do not fit into one statement.
    async fn send_batch(session: &mut Session<D>, mut batch: Batch<Self, bool>) -> Leftover<Self, bool> {
        let mut waiting = batch.keep_one_of_each(|update| &update.held.id, merge);
        waiting.append(&mut over_the_limit(&mut batch));
        let Some(step) = batch.followers.first().map(|follower| follower.request.step) else {
            return Leftover::waiting(waiting);
        };
        let mut attempts = batch.begin();
        let changed = {
            let held: Vec<&HeldClaim> =
                batch.followers.iter().map(|follower| &follower.request.held).collect();
            session.send_after(&mut attempts, &UpdateClaims { step, held: &held }).await
        };
        match changed {
            Ok(are_changed) => {
                for (follower, is_changed) in batch.take().into_iter().zip(are_changed) {
                    follower.tell_all(|| BatchAnswer::Answer(is_changed));
                }
                Leftover::waiting(waiting)
            }
            Err(failed) => batch.fail_or_search(session, waiting, failed),
        }
    }
}

/// Takes out what would make the statement too large. At least one follower stays.
fn over_the_limit(batch: &mut Batch<ClaimUpdate, bool>) -> Vec<UpdateFollower> {
    let mut bytes = 0;
    let fits = |follower: &UpdateFollower| {
        bytes += follower.request.held.reply.bytes.len();
        bytes <= MAX_BYTES
    };
    let fitting = batch.followers.iter().map(fits).take_while(|fits| *fits).count();
    batch.followers.split_off(fitting.max(1).min(batch.followers.len()))
}

/// The same claim is changed once for all its callers.
fn merge(first: &mut UpdateFollower, other: UpdateFollower) -> Option<UpdateFollower> {
    if first.request.held != other.request.held {
        return Some(other);
    }
    first.callers.extend(other.callers);
    None
}
