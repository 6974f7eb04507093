//! The endpoint of an inbox, as a handler of axum.

use std::future::Future;
use std::pin::Pin;

use axum::extract::Request;
use axum::handler::Handler;
use axum::response::{IntoResponse, Response};

use super::extract::{named, read};
use crate::edge::status;
use crate::inbox::{InboxDatabase, Receipt, Receive, ReceiveError};
use crate::sender::Sender;

/// Tells axum's kinds of handlers apart.
#[doc(hidden)]
#[derive(Debug)]
pub struct ViaInbox(());

impl<D: InboxDatabase, S: Sender, State> Handler<ViaInbox, State> for Receive<D, S> {
    type Future = Pin<Box<dyn Future<Output = Response> + Send>>;

    fn call(self, request: Request, _: State) -> Self::Future {
        Box::pin(async move {
            match receive(&self, request).await {
                Ok(receipt) => receipt.into_response(),
                Err(error) => error.into_response(),
            }
        })
    }
}

async fn receive<D: InboxDatabase, S: Sender>(
    inbox: &Receive<D, S>,
    request: Request,
) -> Result<Receipt, ReceiveError> {
    let (headers, body) = read::<S>(request).await?;
    inbox.store(named(&headers), &body).await
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
