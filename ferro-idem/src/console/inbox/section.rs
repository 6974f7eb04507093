//! The inbox's part of the overview.

use std::time::Duration;

use askama::Template;
use tokio::time::Instant;

use super::view::{EventView, meaning};
use crate::console::view::{Frame, StateCard};
use crate::error::Error;
use crate::inbox::operations::{InboxCounts, InboxFilter, InboxOperations, InboxState};
use crate::operations::text::ago;

const PARKED: usize = 10;

/// How long the overview counts. A large inbox is counted in part.
const COUNT_WITHIN: Duration = Duration::from_secs(1);

#[derive(Template)]
#[template(path = "inbox_section.html")]
pub(in crate::console) struct Section {
    frame: Frame,
    is_partial: bool,
    cards: Vec<StateCard>,
    parked: Vec<EventView>,
}

impl Section {
    pub(in crate::console) async fn read(
        operations: &dyn InboxOperations,
        frame: Frame,
    ) -> Result<Self, Error> {
        let (counts, is_partial) = counts(operations).await?;
        let cards = InboxState::UNFINISHED.map(|state| {
            let of = counts.of(state);
            StateCard {
                state: state.as_str(),
                events: of.events,
                oldest: of.oldest.map(ago).unwrap_or_default(),
                meaning: meaning(state),
            }
        });
        let parked =
            operations.list(&InboxFilter::new().with_state(InboxState::Parked), None, PARKED).await?;
        let parked = parked.events.iter().map(EventView::new).collect();
        Ok(Self { frame, is_partial, cards: cards.into(), parked })
    }
}

async fn counts(operations: &dyn InboxOperations) -> Result<(InboxCounts, bool), Error> {
    let started = Instant::now();
    let (mut counts, mut after) = (InboxCounts::default(), None);
    loop {
        let part = operations.count_page(after.as_ref()).await?;
        counts.add(&part.counts);
        match part.next {
            None => return Ok((counts, false)),
            Some(_) if started.elapsed() > COUNT_WITHIN => return Ok((counts, true)),
            next => after = next,
        }
    }
}
