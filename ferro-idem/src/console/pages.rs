//! The pages that only read.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use tokio::time::Instant;

use super::Site;
use super::change::{Action, actions_of};
use super::view::{EventView, Frame, failed, id_of, message, moment, page};
use crate::error::Error;
use crate::operations::text::{ago, next_delivery, parse_duration, percent_encoded};
use crate::operations::{Counts, Cursor, EventState, Filter, Operations};

/// How many events a page shows.
const PAGE: usize = 50;

const STUCK: usize = 10;

/// How long the overview counts. A large log is counted in part.
const COUNT_WITHIN: Duration = Duration::from_secs(2);

type Parameters = Query<Vec<(String, String)>>;

fn parameter<'p>(parameters: &'p [(String, String)], name: &str) -> &'p str {
    parameters.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value.trim())
}

struct StateRow {
    state: &'static str,
    events: u64,
    percent: u64,
    oldest: String,
}

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    frame: Frame,
    is_partial: bool,
    rows: Vec<StateRow>,
    lacks: Vec<String>,
    stuck: Vec<EventView>,
}

pub(super) async fn overview(State(site): State<Arc<Site>>, frame: Frame) -> Response {
    match read_overview(&*site.operations).await {
        Err(error) => failed(frame, &error),
        Ok((counts, is_partial, lacks, stuck)) => {
            let total = counts.total().max(1);
            let rows = EventState::ALL.map(|state| {
                let of = counts.of(state);
                StateRow {
                    state: state.as_str(),
                    events: of.events,
                    percent: of.events.saturating_mul(100) / total,
                    oldest: of.oldest.map(ago).unwrap_or_default(),
                }
            });
            page(StatusCode::OK, &Overview { frame, is_partial, rows: rows.into(), lacks, stuck })
        }
    }
}

async fn read_overview(
    operations: &dyn Operations,
) -> Result<(Counts, bool, Vec<String>, Vec<EventView>), Error> {
    let started = Instant::now();
    let (mut counts, mut after) = (Counts::default(), None);
    let is_partial = loop {
        let part = operations.count_page(after.as_ref()).await?;
        counts.add(&part.counts);
        match part.next {
            None => break false,
            Some(_) if started.elapsed() > COUNT_WITHIN => break true,
            next => after = next,
        }
    };
    let lacks = operations.lacks().await?.iter().map(ToString::to_string).collect();
    let stuck = operations.list(&Filter::new().with_state(EventState::LeaseEnded), None, STUCK).await?;
    Ok((counts, is_partial, lacks, stuck.events.iter().map(EventView::new).collect()))
}

/// The filter as it was typed.
struct FilterView<'p> {
    state: &'p str,
    event_type: &'p str,
    min_age: &'p str,
    min_token: &'p str,
}

impl FilterView<'_> {
    fn parse(&self) -> Result<Filter, String> {
        let some = |text: &'_ str| if text.is_empty() { None } else { Some(text.to_owned()) };
        let state = some(self.state).map(|state| state.parse::<EventState>()).transpose();
        let min_age = some(self.min_age).map(|age| parse_duration(&age)).transpose()?;
        let min_token = some(self.min_token).map(|token| token.parse::<u64>()).transpose();
        let filter = Filter::new()
            .with_state(state.map_err(|error| error.to_string())?)
            .with_min_age(min_age)
            .with_min_token(min_token.map_err(|_| "the fencing token is a number".to_owned())?);
        Ok(match some(self.event_type) {
            Some(event_type) => filter.with_type(event_type),
            None => filter,
        })
    }

    /// The query of the next page.
    fn query(&self, after: &Cursor) -> String {
        let pairs = [
            ("state", self.state),
            ("type", self.event_type),
            ("min_age", self.min_age),
            ("min_token", self.min_token),
        ];
        let mut query = format!("after={after}");
        for (name, value) in pairs.into_iter().filter(|(_, value)| !value.is_empty()) {
            query.push('&');
            query.push_str(name);
            query.push('=');
            query.push_str(&percent_encoded(value));
        }
        query
    }
}

#[derive(Template)]
#[template(path = "events.html")]
struct ListPage<'p> {
    frame: Frame,
    states: [&'static str; 4],
    filter: FilterView<'p>,
    events: Vec<EventView>,
    next: Option<String>,
}

pub(super) async fn events(
    State(site): State<Arc<Site>>,
    frame: Frame,
    Query(parameters): Parameters,
) -> Response {
    let typed = FilterView {
        state: parameter(&parameters, "state"),
        event_type: parameter(&parameters, "type"),
        min_age: parameter(&parameters, "min_age"),
        min_token: parameter(&parameters, "min_token"),
    };
    let after = Some(parameter(&parameters, "after")).filter(|after| !after.is_empty());
    let after = after.map(str::parse::<Cursor>).transpose().map_err(|error| error.to_string());
    let (filter, after) = match typed.parse().and_then(|filter| Ok((filter, after?))) {
        Ok(parsed) => parsed,
        Err(mistake) => {
            return message(
                frame,
                StatusCode::BAD_REQUEST,
                "This filter cannot be used",
                mistake,
                String::new(),
            );
        }
    };
    match site.operations.list(&filter, after.as_ref(), PAGE).await {
        Err(error) => failed(frame, &error),
        Ok(listed) => {
            let next = listed.next.map(|next| typed.query(&next));
            let events = listed.events.iter().map(EventView::new).collect();
            let states = EventState::ALL.map(EventState::as_str);
            page(StatusCode::OK, &ListPage { frame, states, filter: typed, events, next })
        }
    }
}

/// From a typed id to its page.
pub(super) async fn find(frame: Frame, Query(parameters): Parameters) -> Response {
    let id = parameters.iter().find(|(name, _)| name == "id").map_or("", |(_, id)| id);
    Redirect::to(&format!("{}/event?id={}", frame.base, hex::encode(id))).into_response()
}

#[derive(Template)]
#[template(path = "event.html")]
struct EventPage {
    frame: Frame,
    event: EventView,
    notice: &'static str,
    next_delivery: &'static str,
    received: String,
    updated: String,
    version: String,
    form_token: String,
    actions: Vec<Action>,
}

pub(super) async fn event(
    State(site): State<Arc<Site>>,
    frame: Frame,
    Query(parameters): Parameters,
) -> Response {
    let none = |frame| {
        let text = "The log does not have this event, or not any more.".to_owned();
        message(frame, StatusCode::NOT_FOUND, "There is no such event", text, String::new())
    };
    let Some(id) = id_of(parameter(&parameters, "id")) else { return none(frame) };
    let found = match site.operations.look(&id).await {
        Ok(Some(found)) => found,
        Ok(None) => return none(frame),
        Err(error) => return failed(frame, &error),
    };
    let notice = match parameter(&parameters, "done") {
        "release" => "The event was released.",
        "complete" => "The event was completed.",
        "forget" => "The event was forgotten.",
        _ => "",
    };
    let template = EventPage {
        event: EventView::new(&found),
        notice,
        next_delivery: next_delivery(found.state()),
        received: moment(found.received_at()),
        updated: moment(found.updated_at()),
        version: found.version(),
        form_token: site.form_token.clone(),
        actions: if site.has_actions { actions_of(found.state()) } else { Vec::new() },
        frame,
    };
    page(StatusCode::OK, &template)
}
