//! Replaying and discarding.

use std::time::Duration;

use super::event::{InboxEvent, InboxState};
use super::listing::{ChangePage, InboxFilter};
use super::requests::StepAll;
use super::rows::{cursor, numbers};
use super::sql::SqlInboxOperations;
use crate::claim::Ownership;
use crate::error::Error;
use crate::inbox::delivery::Held;
use crate::inbox::dialect::InboxDatabase;
use crate::inbox::step::{Step, StepOf, owner_or_none};
use crate::operations::{Change, Cursor};

/// How many events one batch replays or discards.
const BATCH: usize = 256;

impl<D: InboxDatabase> SqlInboxOperations<D> {
    pub(super) async fn change(&self, step: Step, seen: &InboxEvent) -> Result<Change<InboxEvent>, Error> {
        if let Err(why) = applies(step, seen.state()) {
            return Ok(Change::NotPossible(why));
        }
        let changed = self.send(StepAll { step, of: vec![step_of(step, seen)] }).await?;
        if changed.first() == Some(&true) {
            self.store.wake();
            return Ok(Change::Done);
        }
        let now = self.look_at_row(seen.seq()).await?.filter(|now| now.key() == seen.key());
        Ok(Change::TooLate(match now {
            Some(now) => Some(now),
            None => self.find(seen.key()).await?,
        }))
    }

    pub(super) async fn change_page(
        &self,
        step: Step,
        filter: &InboxFilter,
        after: Option<&Cursor>,
    ) -> Result<ChangePage, Error> {
        let [after, until] = if let Some(after) = after {
            numbers(after)?
        } else {
            // An event keeps its number if it is parked again, so nothing is changed twice. Later ones are left out.
            let last = self.read(self.statements.last(), 0).await?;
            [0, last.first().and_then(|last| last.number(0)).unwrap_or(0)]
        };
        let filter = filter.clone().with_state(InboxState::Parked);
        let condition = self.statements.matching(&filter, Some(until));
        let (events, end) = self.read_part(&condition, after, BATCH).await?;
        let mut page = ChangePage::new(0, 0, end.filter(|end| *end < until).map(|end| cursor(&[end, until])));
        if !events.is_empty() {
            let of = events.iter().map(|event| step_of(step, event)).collect();
            for is_changed in self.send(StepAll { step, of }).await? {
                if is_changed {
                    page.changed += 1;
                } else {
                    page.too_late += 1;
                }
            }
            self.store.wake();
        }
        Ok(page)
    }
}

/// Why a step is not possible for an event of this state.
fn applies(step: Step, state: InboxState) -> Result<(), &'static str> {
    match (state, step) {
        (InboxState::Parked, _) => Ok(()),
        (InboxState::Processed, Step::Discard) => {
            Err("The event is processed, and its body is deleted already.")
        }
        (InboxState::Processed, _) => {
            Err("The event is processed, and its body is deleted: only its sender can deliver it again.")
        }
        (InboxState::Waiting | InboxState::BackingOff, Step::Discard) => Err(
            "The event is not parked. It waits for its next attempt, and only a parked event can be discarded.",
        ),
        (InboxState::Waiting | InboxState::BackingOff, _) => {
            Err("The event is not parked. It waits for its next attempt, which comes by itself.")
        }
        (InboxState::Running | InboxState::LeaseEnded, _) => {
            Err("The event is not parked. A worker has it, or takes it over after the end of its lease.")
        }
    }
}

fn step_of(step: Step, seen: &InboxEvent) -> StepOf {
    let held = Held {
        seq: seen.seq(),
        event_id: seen.key().into(),
        ownership: Ownership { owner: owner_or_none(seen.owner()), token: seen.fencing_token() },
    };
    StepOf::new(step, &held, Duration::ZERO, "")
}
