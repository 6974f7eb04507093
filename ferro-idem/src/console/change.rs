//! The form that changes an event.

use std::sync::Arc;

use axum::Form;
use axum::extract::State;
use axum::extract::rejection::FormRejection;
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use subtle::ConstantTimeEq;

use super::Site;
use super::view::{Frame, failed, id_of, message};
use crate::operations::{Change, EventState};

/// A button, and what it leads to.
pub(super) struct Action {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) consequence: &'static str,
}

const COMPLETE: Action = Action {
    name: "complete",
    label: "Complete",
    consequence: "It never runs again, and I have dealt with it.",
};

/// What can be done to an event of this state.
pub(super) fn actions_of(state: EventState) -> Vec<Action> {
    let release = |consequence| Action { name: "release", label: "Release", consequence };
    match state {
        EventState::Claimed => {
            vec![release("Its process is gone. Otherwise the body may run twice at the same time."), COMPLETE]
        }
        EventState::LeaseEnded => vec![release("Its next delivery may run."), COMPLETE],
        EventState::Released => vec![COMPLETE],
        EventState::Processed => vec![Action {
            name: "forget",
            label: "Forget",
            consequence: "Its body may run again, from its beginning.",
        }],
    }
}

pub(super) async fn change(
    State(site): State<Arc<Site>>,
    frame: Frame,
    headers: HeaderMap,
    form: Result<Form<Vec<(String, String)>>, FormRejection>,
) -> Response {
    if !site.has_actions {
        let text = "This page is read-only.".to_owned();
        return message(frame, StatusCode::FORBIDDEN, "Nothing was changed", text, String::new());
    }
    let fields = form.map(|Form(fields)| fields).unwrap_or_default();
    let field = |name: &str| fields.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value);
    if !is_from_here(&headers) || !is_form_token(field("token"), &site) {
        let text =
            "The form is not from this page, or the application was restarted since. Open the event again.";
        return message(frame, StatusCode::FORBIDDEN, "Nothing was changed", text.to_owned(), String::new());
    }
    let name = field("change");
    let Some(id) = id_of(field("id")).filter(|_| field("confirm") == "yes") else {
        let text = "The change was not confirmed.".to_owned();
        return message(frame, StatusCode::BAD_REQUEST, "Nothing was changed", text, String::new());
    };
    let hex = hex::encode(&id);
    let too_late = |frame, hex| {
        let text = "The event has changed since the page was opened, and was left alone.".to_owned();
        message(frame, StatusCode::CONFLICT, "Nothing was changed", text, hex)
    };
    let seen = match site.operations.look(&id).await {
        Ok(Some(seen)) if seen.version() == field("version") => seen,
        Ok(_) => return too_late(frame, hex),
        Err(error) => return failed(frame, &error),
    };
    let changed = match name {
        "release" => site.operations.release(&seen).await,
        "complete" => site.operations.complete(&seen).await,
        "forget" => site.operations.forget(&seen).await,
        _ => Ok(Change::NotPossible("There is no such change.")),
    };
    match changed {
        // A mark that was deleted has no page any more.
        Ok(Change::Done) if name == "forget" && seen.fencing_token() == 0 => {
            let text = "The event was forgotten, and its next delivery runs.".to_owned();
            message(frame, StatusCode::OK, "Done", text, String::new())
        }
        Ok(Change::Done) => {
            Redirect::to(&format!("{}/event?id={hex}&done={name}", frame.base)).into_response()
        }
        Ok(Change::TooLate(_)) => too_late(frame, hex),
        Ok(Change::NotPossible(why)) => {
            message(frame, StatusCode::CONFLICT, "Nothing was changed", why.to_owned(), hex)
        }
        Err(error) => failed(frame, &error),
    }
}

/// Whether the browser says that the form is of the same origin. One that says nothing is judged by the form's token.
fn is_from_here(headers: &HeaderMap) -> bool {
    let text = |value: &axum::http::HeaderValue| value.to_str().map(str::to_owned).unwrap_or_default();
    if let Some(site) = headers.get("sec-fetch-site").map(text) {
        return site == "same-origin";
    }
    match (headers.get(ORIGIN).map(text), headers.get(HOST).map(text)) {
        (None, _) => true,
        (Some(origin), Some(host)) => origin.split_once("://").is_some_and(|(_, of)| of == host),
        (Some(_), None) => false,
    }
}

/// In a time that does not depend on where they differ.
fn is_form_token(given: &str, site: &Site) -> bool {
    given.as_bytes().ct_eq(site.form_token.as_bytes()).into()
}
