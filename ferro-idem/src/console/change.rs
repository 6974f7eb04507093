//! Changes of an event of the log.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};

use super::Site;
use super::form::{Action, FormFields, Wanted};
use super::view::{Frame, Link, failed, message};
use crate::error::Error;
use crate::operations::{Change, EventState, LoggedEvent};

const COMPLETE: Action = Action {
    name: "complete",
    label: "Complete",
    consequence: "It never runs again, and I have dealt with it.",
};

const FORGET_REPLY: Action = Action {
    name: "forget-reply",
    label: "Delete its reply",
    consequence: "Its duplicates have no reply to replay from then on, and it never runs again.",
};

/// What can be done to an event.
pub(super) fn actions_of(event: &LoggedEvent) -> Vec<Action> {
    let release = |consequence| Action { name: "release", label: "Release", consequence };
    match event.state() {
        EventState::Claimed => {
            vec![release("Its process is gone. Otherwise the body may run twice at the same time."), COMPLETE]
        }
        EventState::LeaseEnded => vec![release("Its next delivery may run."), COMPLETE],
        EventState::Released => vec![COMPLETE],
        EventState::Processed => {
            let consequence = "Its body may run again, from its beginning.";
            let forget = Action { name: "forget", label: "Forget", consequence };
            event.reply_until().map(|_| FORGET_REPLY).into_iter().chain([forget]).collect()
        }
    }
}

pub(super) async fn change(
    State(site): State<Arc<Site>>,
    frame: Frame,
    headers: HeaderMap,
    form: FormFields,
) -> Response {
    let wanted = match Wanted::read(&site, &frame, &headers, form) {
        Ok(wanted) => wanted,
        Err(refused) => return refused,
    };
    let path = format!("{}/event?id={}", frame.base, hex::encode(&wanted.id));
    let seen = match site.operations.look(&wanted.id).await {
        Ok(Some(seen)) if seen.version() == wanted.version => seen,
        Ok(_) => return too_late(frame, path),
        Err(error) => return failed(frame, &error),
    };
    let changed = match wanted.change.as_str() {
        "release" => site.operations.release(&seen).await,
        "complete" => site.operations.complete(&seen).await,
        "forget" => site.operations.forget(&seen).await,
        "forget-reply" => site.operations.forget_reply(&seen).await,
        _ => Ok(Change::NotPossible("There is no such change.")),
    };
    match changed {
        // A mark that was deleted has no page any more.
        Ok(Change::Done) if wanted.change == "forget" && seen.fencing_token() == 0 => {
            let text = "The event was forgotten, and its next delivery runs.".to_owned();
            message(frame, StatusCode::OK, "Done", text, None)
        }
        changed => answered(frame, path, &wanted.change, changed),
    }
}

/// The answer to a change of the event at this path.
pub(super) fn answered<E>(
    frame: Frame,
    path: String,
    change: &str,
    changed: Result<Change<E>, Error>,
) -> Response {
    match changed {
        Ok(Change::Done) => Redirect::to(&format!("{path}&done={change}")).into_response(),
        Ok(Change::TooLate(_)) => too_late(frame, path),
        Ok(Change::NotPossible(why)) => unchanged(frame, path, why),
        Err(error) => failed(frame, &error),
    }
}

/// The event at this path was changed by a delivery or another operator.
pub(super) fn too_late(frame: Frame, path: String) -> Response {
    let text = "This came too late: the event has changed since the page was opened, and was left alone.";
    unchanged(frame, path, text)
}

fn unchanged(frame: Frame, path: String, why: &str) -> Response {
    let link = Link { path, text: "See how the event is now" };
    message(frame, StatusCode::CONFLICT, "Nothing was changed", why.to_owned(), Some(link))
}
