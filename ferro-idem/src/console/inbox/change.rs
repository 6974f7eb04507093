//! Changes of an event of the inbox.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use super::PageInbox;
use crate::console::Site;
use crate::console::change::{answered, too_late};
use crate::console::form::{Action, FormFields, Wanted};
use crate::console::view::{Frame, failed};
use crate::inbox::operations::{Change, InboxState};

const REPLAY: Action = Action {
    name: "replay",
    label: "Replay",
    consequence: "What made it fail is repaired. It runs again, with all of its attempts.",
};

const DISCARD: Action = Action {
    name: "discard",
    label: "Discard",
    consequence: "It never runs, and its body is deleted. This cannot be undone.",
};

/// What can be done to an event of this state.
pub(super) fn actions_of(state: InboxState) -> Vec<Action> {
    if state == InboxState::Parked { vec![REPLAY, DISCARD] } else { Vec::new() }
}

pub(super) async fn change(
    State(site): State<Arc<Site>>,
    PageInbox(inbox): PageInbox,
    frame: Frame,
    headers: HeaderMap,
    form: FormFields,
) -> Response {
    let wanted = match Wanted::read(&site, &frame, &headers, form) {
        Ok(wanted) => wanted,
        Err(refused) => return refused,
    };
    let path = format!("{}/inbox/event?id={}", frame.base, hex::encode(&wanted.id));
    let seen = match inbox.look(&wanted.id).await {
        Ok(Some(seen)) if seen.version() == wanted.version => seen,
        Ok(_) => return too_late(frame, path),
        Err(error) => return failed(frame, &error),
    };
    let changed = match wanted.change.as_str() {
        "replay" => inbox.replay(&seen).await,
        "discard" => inbox.discard(&seen).await,
        _ => Ok(Change::NotPossible("There is no such change.")),
    };
    answered(frame, path, &wanted.change, changed)
}
