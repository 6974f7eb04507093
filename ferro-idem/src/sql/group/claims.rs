//! Claims that share a statement.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::batch::{Batch, Follower, Leftover, answer_with_error};
use super::{BatchAnswer, BatchRequest, MAX_BATCH, MAX_REPLIES, max_unpolled};
use crate::claim::ClaimOutcome;
use crate::retry::Attempt;
use crate::sql::dialect::Dialect;
use crate::sql::event_state::{ClaimAnswer, NewClaim};
use crate::sql::request::{ClaimEvents, LookAtEvents};
use crate::sql::session::{RequestFailed, Session};

/// How often a claim meets an event that is freed at the same moment. Then it is sent alone, which has a bound and says
/// what is wrong if a trigger keeps the row as it is.
const MAX_ROUNDS: u32 = 4;

type ClaimBatch = Batch<NewClaim, ClaimAnswer>;
type ClaimFollower = Follower<NewClaim, ClaimAnswer>;

impl<D: Dialect> BatchRequest<Session<D>> for NewClaim {
    type Answer = ClaimAnswer;

    fn id(&self) -> &Arc<str> {
        &self.mark.id
    }

    fn operation(&self) -> &'static str {
        "claim the event"
    }

    fn max_unpolled() -> Option<Duration> {
        max_unpolled::<D>()
    }

    /// Of several claims of one event, the first goes into the statement. The state is read for all others,
    /// in a second statement: the claim's own does not see the row that it conflicted with.
    async fn send_batch(session: &mut Session<D>, mut batch: ClaimBatch) -> Leftover<Self, ClaimAnswer> {
        let others = batch.keep_one_of_each(|claim| &claim.mark.id, |_, other| Some(other));
        let mut others = Batch::new(&batch.group, others);
        let mut next = over_the_limit(&mut batch);
        let mut attempts = batch.begin();
        let claimed = {
            let claims: Vec<&NewClaim> = batch.followers.iter().map(|follower| &follower.request).collect();
            session.send_after(&mut attempts, &ClaimEvents(&claims)).await
        };
        let claimed = match claimed {
            Ok(claimed) => claimed,
            Err(failed) => {
                let mut leftover = fail_or_search(session, batch, others.take(), failed);
                leftover.waiting.append(&mut next.take());
                return leftover;
            }
        };
        let mut states: BTreeMap<Arc<str>, Vec<ClaimFollower>> = BTreeMap::new();
        let mut processed: BTreeMap<Arc<str>, ClaimAnswer> = BTreeMap::new();
        for (follower, claimed) in batch.take().into_iter().zip(claimed) {
            let id = Arc::clone(&follower.request.mark.id);
            let Some(answer) = claimed.into_answer() else {
                states.entry(id).or_default().push(follower);
                continue;
            };
            if answer.outcome == ClaimOutcome::Processed && !others.followers.is_empty() {
                processed.insert(id, answer.clone());
            }
            follower.tell_all(|| BatchAnswer::Answer(answer.clone()));
        }
        for follower in others.take() {
            let id = Arc::clone(&follower.request.mark.id);
            match processed.get(&id) {
                Some(answer) => follower.tell_all(|| BatchAnswer::Answer(answer.clone())),
                None => states.entry(id).or_default().push(follower),
            }
        }
        let states = Batch::new(&batch.group, states.into_values().flatten().collect());
        let mut leftover = tell_states(session, states).await;
        leftover.waiting.append(&mut next.take());
        leftover
    }
}

/// Takes out the claims over the limit of replies in one statement. They wait for the next one.
fn over_the_limit(batch: &mut ClaimBatch) -> ClaimBatch {
    let reads_replies = batch.followers.first().is_some_and(|follower| follower.request.reads_reply);
    let limit = if reads_replies { MAX_REPLIES } else { MAX_BATCH };
    let over = batch.followers.split_off(batch.followers.len().min(limit));
    Batch::new(&batch.group, over)
}

/// Returns the followers whose event was freed meanwhile: they can claim it now.
async fn tell_states<D: Dialect>(
    session: &mut Session<D>,
    mut others: ClaimBatch,
) -> Leftover<NewClaim, ClaimAnswer> {
    let states = {
        let mut ids: Vec<&str> = others.followers.iter().map(|follower| &*follower.request.mark.id).collect();
        ids.dedup();
        match session.send(&LookAtEvents(&ids)).await {
            Ok(states) => Ok(ids.into_iter().map(Arc::<str>::from).zip(states).collect::<BTreeMap<_, _>>()),
            Err(failed) => Err(failed),
        }
    };
    let states = match states {
        Ok(states) => states,
        Err(failed) => return fail_or_search(session, others, Vec::new(), failed),
    };
    let mut waiting = Vec::new();
    for mut follower in others.take() {
        match states.get(&follower.request.mark.id).and_then(|state| state.as_outcome()) {
            Some(outcome) => follower.tell_all(|| BatchAnswer::Answer(outcome.into())),
            None if follower.request.rounds < MAX_ROUNDS => {
                follower.request.rounds += 1;
                waiting.push(follower);
            }
            None => follower.tell_all(|| BatchAnswer::Alone(Attempt::First)),
        }
    }
    Leftover::waiting(waiting)
}

fn fail_or_search<D: Dialect>(
    session: &Session<D>,
    mut batch: ClaimBatch,
    others: Vec<ClaimFollower>,
    failed: RequestFailed,
) -> Leftover<NewClaim, ClaimAnswer> {
    let followers = batch.take_failed(&failed);
    if failed.is_about_one_event() {
        return Leftover { waiting: others, troubled: Some((followers, failed)) };
    }
    let error_for_each = failed.into_errors();
    for follower in followers.into_iter().chain(others) {
        answer_with_error(session, &batch.group, follower, &error_for_each);
    }
    Leftover::waiting(Vec::new())
}
