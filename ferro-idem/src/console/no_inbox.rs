//! In place of the inbox, in a build that has none.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;

use super::Site;
use super::view::Frame;
use crate::error::Error;

pub(super) type Operations = Infallible;

/// The inbox's part of the overview.
pub(super) type Section = Infallible;

pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new()
}

pub(super) async fn section(_: &Site, _: &Frame) -> Result<Option<Section>, Error> {
    Ok(None)
}
