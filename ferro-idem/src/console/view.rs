//! What the templates show. askama escapes markup; characters that a browser would not show are escaped here.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::SystemTime;

use askama::Template;
use axum::extract::{FromRequestParts, OriginalUri};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{Html, IntoResponse, Response};

use super::Site;
use crate::error::Error;
use crate::operations::text::{ago, duration, escaped, time};
use crate::operations::{LoggedEvent, StateCount};

/// What every page has.
#[derive(Clone)]
pub(super) struct Frame {
    /// The path of the page, without a slash at its end.
    pub(super) base: String,
    pub(super) has_actions: bool,
    pub(super) protection: String,
    /// The page of the navigation that this one belongs to.
    pub(super) part: Part,
    has_inbox: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Overview,
    Events,
    Inbox,
}

impl Part {
    fn of(path: &str) -> Self {
        match path {
            "/" | "" => Self::Overview,
            path if path.starts_with("/inbox") => Self::Inbox,
            _ => Self::Events,
        }
    }
}

impl FromRequestParts<Arc<Site>> for Frame {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Infallible> {
        let OriginalUri(original) = OriginalUri::from_request_parts(parts, site).await?;
        Ok(Self::new(site, original.path(), parts.uri.path()))
    }
}

impl Frame {
    /// `original` is the path that was asked for, and `inner` the part of it that the router saw.
    fn new(site: &Site, original: &str, inner: &str) -> Self {
        let nested = original.strip_suffix(inner).unwrap_or(original).trim_end_matches('/');
        // `//host` would lead to another site.
        let nested = nested.trim_start_matches('/');
        let nested = if nested.is_empty() { String::new() } else { format!("/{nested}") };
        Self {
            base: site.base_path.clone().unwrap_or(nested),
            has_actions: site.has_actions,
            protection: site.protection.text().to_owned(),
            part: Part::of(inner),
            has_inbox: site.inbox.is_some(),
        }
    }

    /// Where the templates' navigation leads.
    pub(super) fn navigation(&self) -> Vec<Entry> {
        let entry = |part, path: &str, text| Entry {
            path: format!("{}{path}", self.base),
            text,
            is_current: self.part == part,
        };
        let home = if self.base.is_empty() { "/" } else { "" };
        let mut entries =
            vec![entry(Part::Overview, home, "Overview"), entry(Part::Events, "/events", "Events")];
        if self.has_inbox {
            entries.push(entry(Part::Inbox, "/inbox", "Inbox"));
        }
        entries
    }
}

/// A link of the navigation.
pub(super) struct Entry {
    pub(super) path: String,
    pub(super) text: &'static str,
    pub(super) is_current: bool,
}

/// The events of one state, on the overview.
pub(super) struct StateCard {
    pub(super) state: &'static str,
    pub(super) events: u64,
    pub(super) oldest: String,
    /// What happens to them next, in a few words.
    pub(super) meaning: &'static str,
}

impl StateCard {
    pub(super) fn new(state: &'static str, of: StateCount, meaning: &'static str) -> Self {
        Self { state, events: of.events, oldest: of.oldest.map(ago).unwrap_or_default(), meaning }
    }
}

/// An event as a row shows it.
pub(super) struct EventView {
    /// The id as links and forms carry it: browsers change line breaks in forms.
    pub(super) hex: String,
    pub(super) id: String,
    pub(super) event_type: String,
    pub(super) state: &'static str,
    pub(super) token: u64,
    pub(super) age: String,
    pub(super) lease_left: String,
}

impl EventView {
    pub(super) fn new(event: &LoggedEvent) -> Self {
        Self {
            hex: hex::encode(event.id()),
            id: escaped(event.id()),
            event_type: event.event_type().map(escaped).unwrap_or_default(),
            state: event.state().as_str(),
            token: event.fencing_token(),
            age: event.received_at().or(event.updated_at()).map(ago).unwrap_or_default(),
            lease_left: event.lease_left().map(duration).unwrap_or_default(),
        }
    }
}

pub(super) fn moment(at: Option<SystemTime>) -> String {
    at.map_or_else(|| "not kept".to_owned(), |at| format!("{} ({} ago)", time(at), ago(at)))
}

#[derive(Template)]
#[template(path = "message.html")]
struct Message {
    frame: Frame,
    title: &'static str,
    text: String,
    link: Option<Link>,
}

/// Where to go on.
pub(super) struct Link {
    pub(super) path: String,
    pub(super) text: &'static str,
}

pub(super) fn message(
    frame: Frame,
    status: StatusCode,
    title: &'static str,
    text: String,
    link: Option<Link>,
) -> Response {
    page(status, &Message { frame, title, text, link })
}

pub(super) fn page(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "the page could not be rendered\n").into_response(),
    }
}

/// The error says what to do. It may name a table or a host, and operators may see that.
pub(super) fn failed(frame: Frame, error: &Error) -> Response {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    message(frame, status, "The store did not answer", escaped(&error.to_string()), None)
}
