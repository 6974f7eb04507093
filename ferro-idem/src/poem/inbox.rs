//! The endpoint of an inbox, as an endpoint of poem.

use poem::error::ResponseError;
use poem::http::StatusCode;
use poem::{Endpoint, IntoResponse, Request, Response};

use super::extract::{named, read};
use crate::edge::status;
use crate::inbox::{InboxDatabase, Receipt, Receive, ReceiveError};
use crate::sender::Sender;

impl<D: InboxDatabase, S: Sender> Endpoint for Receive<D, S> {
    type Output = Receipt;

    async fn call(&self, request: Request) -> poem::Result<Receipt> {
        let (request, mut body) = request.split();
        let body = read(&request, &mut body).await.map_err(|rejection| rejection.logged(S::NAME))?;
        Ok(self.store(named(request.headers()), &body).await?)
    }
}

impl IntoResponse for Receipt {
    fn into_response(self) -> Response {
        (status(self.status()), self.body().to_owned()).into_response()
    }
}

impl ResponseError for ReceiveError {
    fn status(&self) -> StatusCode {
        status(Self::status(self))
    }

    fn as_response(&self) -> Response {
        (ResponseError::status(self), self.body()).into_response()
    }
}
