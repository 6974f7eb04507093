//! The inbox's part of the overview.

use std::time::Duration;

use askama::Template;

use super::view::{EventView, meaning};
use crate::console::counting::counted_within;
use crate::console::view::{Frame, StateCard};
use crate::error::Error;
use crate::inbox::operations::{InboxCounts, InboxFilter, InboxOperations, InboxState};

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
        let cards = InboxState::UNFINISHED
            .map(|state| StateCard::new(state.as_str(), counts.of(state), meaning(state)));
        let parked =
            operations.list(&InboxFilter::new().with_state(InboxState::Parked), None, PARKED).await?;
        let parked = parked.events.iter().map(EventView::new).collect();
        Ok(Self { frame, is_partial, cards: cards.into(), parked })
    }
}

async fn counts(operations: &dyn InboxOperations) -> Result<(InboxCounts, bool), Error> {
    counted_within(COUNT_WITHIN, InboxCounts::add, |after| async move {
        let part = operations.count_page(after.as_ref()).await?;
        Ok((part.counts, part.next))
    })
    .await
}
