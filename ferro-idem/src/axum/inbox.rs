//! The endpoint of an inbox.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use axum::extract::Request;
use axum::handler::Handler;
use axum::response::{IntoResponse, Response};

use super::extract::{delivery, read};
use crate::edge::status;
use crate::inbox::{Inbox, InboxDatabase, Receipt, ReceiveError};
use crate::sender::Sender;

/// The endpoint of an [`Inbox`]: [`Inbox::receive`].
pub struct Receive<D: InboxDatabase, S: Sender>(Inbox<D, S>);

/// Not derived: a derived one would require `S: Clone`.
impl<D: InboxDatabase, S: Sender> Clone for Receive<D, S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<D: InboxDatabase, S: Sender> fmt::Debug for Receive<D, S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Receive").field(&self.0).finish()
    }
}

/// With the feature `axum`.
impl<D: InboxDatabase, S: Sender> Inbox<D, S> {
    /// The endpoint for axum: `Router::new().route("/github", post(inbox.receive()))`. It needs no state.
    ///
    /// | status | meaning |
    /// |---|---|
    /// | 202 | the event is stored durably |
    /// | 200 | it was received before, or the delivery is a handshake |
    /// | 400 | the delivery is not signed by the sender, or is no event |
    /// | 413 | the body is over `DefaultBodyLimit` (2 MB unless set), or over [`with_max_body`](Self::with_max_body) |
    /// | 500 | the sender has no secret |
    /// | 503 | the event could not be stored |
    pub fn receive(&self) -> Receive<D, S> {
        Receive(self.clone())
    }
}

/// Tells axum's kinds of handlers apart.
#[doc(hidden)]
#[derive(Debug)]
pub struct ViaInbox(());

impl<D: InboxDatabase, S: Sender, State> Handler<ViaInbox, State> for Receive<D, S> {
    type Future = Pin<Box<dyn Future<Output = Response> + Send>>;

    fn call(self, request: Request, _: State) -> Self::Future {
        Box::pin(async move {
            match receive(&self.0, request).await {
                Ok(receipt) => receipt.into_response(),
                Err(error) => error.into_response(),
            }
        })
    }
}

async fn receive<D: InboxDatabase, S: Sender>(
    inbox: &Inbox<D, S>,
    request: Request,
) -> Result<Receipt, ReceiveError> {
    let (headers, body) = read::<S>(request).await?;
    inbox.receive_delivery(&delivery(&headers, &body)).await
}

impl IntoResponse for Receipt {
    fn into_response(self) -> Response {
        (status(self.status()), self.body().to_owned()).into_response()
    }
}

impl IntoResponse for ReceiveError {
    fn into_response(self) -> Response {
        (status(self.status()), self.body()).into_response()
    }
}
