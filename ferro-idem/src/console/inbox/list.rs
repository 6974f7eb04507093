//! The list of the inbox.

use askama::Template;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};

use super::PageInbox;
use super::view::EventView;
use crate::console::events::{PAGE, typed_id, unusable_filter, with_cursor};
use crate::console::parameters::{Parameters, parameter, query, typed};
use crate::console::view::{Frame, failed, page};
use crate::inbox::operations::{InboxFilter, InboxState};
use crate::operations::text::parse_duration;

/// The filter as it was typed.
struct FilterView<'p> {
    state: &'p str,
    sender: &'p str,
    event_type: &'p str,
    min_age: &'p str,
    min_attempts: &'p str,
    error: &'p str,
}

impl<'p> FilterView<'p> {
    fn of(parameters: &'p [(String, String)]) -> Self {
        Self {
            state: parameter(parameters, "state"),
            sender: parameter(parameters, "sender"),
            event_type: parameter(parameters, "type"),
            min_age: parameter(parameters, "min_age"),
            min_attempts: parameter(parameters, "min_attempts"),
            error: parameter(parameters, "error"),
        }
    }

    fn parse(&self) -> Result<InboxFilter, String> {
        let state = typed(self.state).map(str::parse::<InboxState>).transpose();
        let min_attempts = typed(self.min_attempts).map(str::parse::<u32>).transpose();
        let mut filter = InboxFilter::new()
            .with_state(state.map_err(|error| error.to_string())?)
            .with_min_age(typed(self.min_age).map(parse_duration).transpose()?)
            .with_min_attempts(min_attempts.map_err(|_| "the attempts are a number".to_owned())?);
        if let Some(sender) = typed(self.sender) {
            filter = filter.with_sender(sender);
        }
        if let Some(event_type) = typed(self.event_type) {
            filter = filter.with_type(event_type);
        }
        if let Some(error) = typed(self.error) {
            filter = filter.with_error(error);
        }
        Ok(filter)
    }

    fn first(&self) -> String {
        self.query("")
    }

    /// The query of the page after this cursor.
    fn query(&self, after: &str) -> String {
        query([
            ("after", after),
            ("state", self.state),
            ("sender", self.sender),
            ("type", self.event_type),
            ("min_age", self.min_age),
            ("min_attempts", self.min_attempts),
            ("error", self.error),
        ])
    }
}

#[derive(Template)]
#[template(path = "inbox.html")]
struct ListPage<'p> {
    frame: Frame,
    states: [&'static str; 6],
    filter: FilterView<'p>,
    events: Vec<EventView>,
    is_first: bool,
    next: Option<String>,
}

pub(super) async fn events(
    PageInbox(inbox): PageInbox,
    frame: Frame,
    Query(parameters): Parameters,
) -> Response {
    let filter = FilterView::of(&parameters);
    let (parsed, after) = match with_cursor(filter.parse(), &parameters) {
        Ok(parsed) => parsed,
        Err(mistake) => return unusable_filter(frame, mistake),
    };
    match inbox.list(&parsed, after.as_ref(), PAGE).await {
        Err(error) => failed(frame, &error),
        Ok(listed) => {
            let next = listed.next.map(|next| filter.query(&next.to_string()));
            let events = listed.events.iter().map(EventView::new).collect();
            let states = InboxState::ALL.map(InboxState::as_str);
            let is_first = after.is_none();
            page(StatusCode::OK, &ListPage { frame, states, filter, events, is_first, next })
        }
    }
}

/// From a typed key to its page.
pub(super) async fn find(frame: Frame, Query(parameters): Parameters) -> Response {
    Redirect::to(&format!("{}/inbox/event?id={}", frame.base, hex::encode(typed_id(&parameters))))
        .into_response()
}
