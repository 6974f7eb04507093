//! The events of the log: a list, and one of them.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};

use super::Site;
use super::change::actions_of;
use super::form::Action;
use super::parameters::{Parameters, id_of, parameter, query, typed};
use super::view::{EventView, Frame, failed, message, moment, page};
use crate::operations::text::{next_delivery, parse_duration, time};
use crate::operations::{Cursor, EventState, Filter, LoggedEvent};

/// How many events a page shows.
pub(super) const PAGE: usize = 50;

/// The filter as it was typed.
struct FilterView<'p> {
    state: &'p str,
    event_type: &'p str,
    min_age: &'p str,
    min_token: &'p str,
}

impl<'p> FilterView<'p> {
    fn of(parameters: &'p [(String, String)]) -> Self {
        Self {
            state: parameter(parameters, "state"),
            event_type: parameter(parameters, "type"),
            min_age: parameter(parameters, "min_age"),
            min_token: parameter(parameters, "min_token"),
        }
    }

    fn parse(&self) -> Result<Filter, String> {
        let state = typed(self.state).map(str::parse::<EventState>).transpose();
        let min_token = typed(self.min_token).map(str::parse::<u64>).transpose();
        let filter = Filter::new()
            .with_state(state.map_err(|error| error.to_string())?)
            .with_min_age(typed(self.min_age).map(parse_duration).transpose()?)
            .with_min_token(min_token.map_err(|_| "the fencing token is a number".to_owned())?);
        Ok(match typed(self.event_type) {
            Some(event_type) => filter.with_type(event_type),
            None => filter,
        })
    }

    fn first(&self) -> String {
        self.query("")
    }

    /// The query of the page after this cursor.
    fn query(&self, after: &str) -> String {
        query([
            ("after", after),
            ("state", self.state),
            ("type", self.event_type),
            ("min_age", self.min_age),
            ("min_token", self.min_token),
        ])
    }
}

#[derive(Template)]
#[template(path = "events.html")]
struct ListPage<'p> {
    frame: Frame,
    states: [&'static str; 4],
    filter: FilterView<'p>,
    events: Vec<EventView>,
    is_first: bool,
    next: Option<String>,
}

pub(super) async fn events(
    State(site): State<Arc<Site>>,
    frame: Frame,
    Query(parameters): Parameters,
) -> Response {
    let filter = FilterView::of(&parameters);
    let (parsed, after) = match with_cursor(filter.parse(), &parameters) {
        Ok(parsed) => parsed,
        Err(mistake) => return unusable_filter(frame, mistake),
    };
    match site.operations.list(&parsed, after.as_ref(), PAGE).await {
        Err(error) => failed(frame, &error),
        Ok(listed) => {
            let next = listed.next.map(|next| filter.query(&next.to_string()));
            let events = listed.events.iter().map(EventView::new).collect();
            let states = EventState::ALL.map(EventState::as_str);
            let is_first = after.is_none();
            page(StatusCode::OK, &ListPage { frame, states, filter, events, is_first, next })
        }
    }
}

/// A filter that was typed, and where the page begins.
pub(super) fn with_cursor<F>(
    filter: Result<F, String>,
    parameters: &[(String, String)],
) -> Result<(F, Option<Cursor>), String> {
    let after = typed(parameter(parameters, "after")).map(str::parse::<Cursor>).transpose();
    Ok((filter?, after.map_err(|error| error.to_string())?))
}

pub(super) fn unusable_filter(frame: Frame, mistake: String) -> Response {
    message(frame, StatusCode::BAD_REQUEST, "This filter cannot be used", mistake, None)
}

/// From a typed id to its page.
pub(super) async fn find(frame: Frame, Query(parameters): Parameters) -> Response {
    Redirect::to(&format!("{}/event?id={}", frame.base, hex::encode(typed_id(&parameters)))).into_response()
}

/// An id may begin with a space.
pub(super) fn typed_id(parameters: &[(String, String)]) -> &str {
    parameters.iter().find(|(name, _)| name == "id").map_or("", |(_, id)| id)
}

#[derive(Template)]
#[template(path = "event.html")]
struct EventPage {
    frame: Frame,
    event: EventView,
    notice: &'static str,
    next_delivery: &'static str,
    received: String,
    begun: String,
    updated: String,
    reply_until: String,
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
        message(frame, StatusCode::NOT_FOUND, "There is no such event", text, None)
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
        "forget-reply" => "Its reply was deleted.",
        _ => "",
    };
    let template = EventPage {
        event: EventView::new(&found),
        notice,
        next_delivery: next_delivery(found.state()),
        received: moment(found.received_at()),
        begun: begun(&found),
        updated: moment(found.updated_at()),
        reply_until: found.reply_until().map(time).unwrap_or_default(),
        version: found.version(),
        form_token: site.form_token.clone(),
        actions: if site.has_actions { actions_of(&found) } else { Vec::new() },
        frame,
    };
    page(StatusCode::OK, &template)
}

/// How often the body was begun, as far as the log knows.
fn begun(event: &LoggedEvent) -> String {
    match event.fencing_token() {
        0 => "Marked by a fence or a transaction, which do not count attempts.".to_owned(),
        1 => "Begun once under a claim.".to_owned(),
        times => {
            format!("Begun {times} times under a claim: each attempt takes the event over from the last one.")
        }
    }
}
