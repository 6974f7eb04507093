//! One event of the inbox.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::PageInbox;
use super::change::actions_of;
use super::view::{EventView, outlook};
use crate::console::Site;
use crate::console::form::Action;
use crate::console::parameters::{Parameters, id_of, parameter};
use crate::console::view::{Frame, failed, message, moment, page};
use crate::operations::text::escaped;

#[derive(Template)]
#[template(path = "inbox_event.html")]
struct EventPage {
    frame: Frame,
    event: EventView,
    notice: &'static str,
    outlook: String,
    received: String,
    takes: String,
    error: String,
    order_key: String,
    stored: String,
    version: String,
    form_token: String,
    actions: Vec<Action>,
}

pub(super) async fn event(
    State(site): State<Arc<Site>>,
    PageInbox(inbox): PageInbox,
    frame: Frame,
    Query(parameters): Parameters,
) -> Response {
    let none = |frame| {
        let text = "The inbox has not received this event, or has forgotten it.".to_owned();
        message(frame, StatusCode::NOT_FOUND, "There is no such event", text, None)
    };
    let Some(key) = id_of(parameter(&parameters, "id")) else { return none(frame) };
    let found = match inbox.look(&key).await {
        Ok(Some(found)) => found,
        Ok(None) => return none(frame),
        Err(error) => return failed(frame, &error),
    };
    let notice = match parameter(&parameters, "done") {
        "replay" => "The event waits for a worker again.",
        "discard" => "The event was discarded.",
        _ => "",
    };
    let takes = match found.fencing_token() {
        0 => "no worker has taken it".to_owned(),
        1 => "taken once by a worker".to_owned(),
        times => format!("taken {times} times by workers"),
    };
    let template = EventPage {
        event: EventView::new(&found),
        notice,
        outlook: outlook(&found),
        received: moment(found.received_at()),
        takes,
        error: found.last_error().map(escaped).unwrap_or_default(),
        order_key: found.order_key().map(escaped).unwrap_or_default(),
        stored: found.stored_bytes().map(|bytes| format!("{bytes} bytes")).unwrap_or_default(),
        version: found.version(),
        form_token: site.form_token.clone(),
        actions: if site.has_actions { actions_of(found.state()) } else { Vec::new() },
        frame,
    };
    page(StatusCode::OK, &template)
}
