//! Forms that change an event, of the log or of the inbox.

use axum::Form;
use axum::extract::rejection::FormRejection;
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use subtle::ConstantTimeEq;

use super::Site;
use super::parameters::{id_of, parameter};
use super::view::{Frame, message};

/// A button, and what it leads to.
pub(super) struct Action {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) consequence: &'static str,
}

pub(super) type FormFields = Result<Form<Vec<(String, String)>>, FormRejection>;

/// What an operator asked for and confirmed.
pub(super) struct Wanted {
    pub(super) change: String,
    pub(super) id: String,
    /// The version of the event that the page showed.
    pub(super) version: String,
}

impl Wanted {
    /// Reads a form of this page. Others are answered.
    #[expect(clippy::result_large_err, reason = "it is the answer")]
    pub(super) fn read(
        site: &Site,
        frame: &Frame,
        headers: &HeaderMap,
        form: FormFields,
    ) -> Result<Self, Response> {
        let refused = |status, text: &str| {
            Err(message(frame.clone(), status, "Nothing was changed", text.to_owned(), None))
        };
        if !site.has_actions {
            return refused(StatusCode::FORBIDDEN, "This page is read-only.");
        }
        let fields = form.map(|Form(fields)| fields).unwrap_or_default();
        if !is_from_here(headers) || !is_form_token(parameter(&fields, "token"), site) {
            let text = "The form has expired: it is not from this page, or the application was restarted since. \
                        Open the event again.";
            return refused(StatusCode::FORBIDDEN, text);
        }
        let Some(id) = id_of(parameter(&fields, "id")).filter(|_| parameter(&fields, "confirm") == "yes")
        else {
            return refused(StatusCode::BAD_REQUEST, "The change was not confirmed.");
        };
        let field = |name| parameter(&fields, name).to_owned();
        Ok(Self { change: field("change"), id, version: field("version") })
    }
}

/// Whether the browser says that the form is of the same origin. One that says nothing is judged by the form's token.
fn is_from_here(headers: &HeaderMap) -> bool {
    let text = |value: &HeaderValue| value.to_str().map(str::to_owned).unwrap_or_default();
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
