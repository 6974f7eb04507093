//! How things stand.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::Site;
use super::chart::Chart;
use super::counting::counted_within;
use super::inbox::{Section, section};
use super::view::{EventView, Frame, StateCard, failed, page};
use crate::error::Error;
use crate::operations::{Counts, EventState, Filter, Lack, Operations};

const STUCK: usize = 10;

/// How long the overview counts. A large log is counted in part.
const COUNT_WITHIN: Duration = Duration::from_secs(2);

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    frame: Frame,
    log: LogView,
    inbox: Option<Section>,
}

struct LogView {
    is_partial: bool,
    states: [&'static str; 4],
    cards: Vec<StateCard>,
    lacks: Vec<String>,
    chart: Option<Chart>,
    stuck: Vec<EventView>,
}

pub(super) async fn overview(State(site): State<Arc<Site>>, frame: Frame) -> Response {
    let read = async { Ok((LogView::read(&*site.operations).await?, section(&site, &frame).await?)) };
    match read.await {
        Err(error) => failed(frame, &error),
        Ok((log, inbox)) => page(StatusCode::OK, &Overview { frame, log, inbox }),
    }
}

impl LogView {
    async fn read(operations: &dyn Operations) -> Result<Self, Error> {
        let (counts, is_partial) = counts(operations).await?;
        let cards =
            EventState::ALL.map(|state| StateCard::new(state.as_str(), counts.of(state), meaning(state)));
        let lacks = operations.lacks().await?;
        let chart = if lacks.contains(&Lack::Times) { None } else { Some(Chart::read(operations).await?) };
        let stuck = operations.list(&Filter::new().with_state(EventState::LeaseEnded), None, STUCK).await?;
        Ok(Self {
            is_partial,
            states: EventState::ALL.map(EventState::as_str),
            cards: cards.into(),
            lacks: lacks.iter().map(ToString::to_string).collect(),
            chart,
            stuck: stuck.events.iter().map(EventView::new).collect(),
        })
    }
}

async fn counts(operations: &dyn Operations) -> Result<(Counts, bool), Error> {
    counted_within(COUNT_WITHIN, Counts::add, |after| async move {
        let part = operations.count_page(after.as_ref()).await?;
        Ok((part.counts, part.next))
    })
    .await
}

/// What the next delivery gets, in a few words.
fn meaning(state: EventState) -> &'static str {
    match state {
        EventState::Claimed => "running now",
        EventState::LeaseEnded => "the next delivery takes over",
        EventState::Released => "the next delivery runs",
        EventState::Processed => "further deliveries are duplicates",
    }
}
