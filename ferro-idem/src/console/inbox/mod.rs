//! The inbox on the page: its part of the overview, a list, one event, and its changes.

mod change;
mod event;
mod list;
mod section;
mod view;

use std::sync::Arc;

use axum::Router;
use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use axum::routing::{get, post};

pub(super) use self::section::Section;
use super::Site;
use super::view::{Frame, message};
use crate::error::Error;
use crate::inbox::operations::InboxOperations;

pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/inbox", get(list::events))
        .route("/inbox/find", get(list::find))
        .route("/inbox/event", get(event::event))
        .route("/inbox/change", post(change::change))
}

pub(super) type Operations = Arc<dyn InboxOperations>;

/// The inbox's part of the overview, if the page has an inbox.
pub(super) async fn section(site: &Site, frame: &Frame) -> Result<Option<Section>, Error> {
    match &site.inbox {
        Some(inbox) => Section::read(&**inbox, frame.clone()).await.map(Some),
        None => Ok(None),
    }
}

/// The inbox of the page. A page without one does not have its paths.
struct PageInbox(Operations);

impl FromRequestParts<Arc<Site>> for PageInbox {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Response> {
        if let Some(inbox) = &site.inbox {
            return Ok(Self(Arc::clone(inbox)));
        }
        let Ok(frame) = Frame::from_request_parts(parts, site).await;
        let text = "This page was made without an inbox.".to_owned();
        Err(message(frame, StatusCode::NOT_FOUND, "There is no inbox", text, None))
    }
}
