//! The endpoint of an inbox, as a handler of actix-web.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;

use actix_web::body::BoxBody;
use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::web::Bytes;
use actix_web::{FromRequest, Handler, HttpRequest, HttpResponse, Responder, ResponseError};

use super::extract::{named, read};
use super::status;
use crate::inbox::{InboxDatabase, Receipt, Receive, ReceiveError};
use crate::sender::{Sender, SenderRejection};

/// A request whose body was read.
#[doc(hidden)]
#[derive(Debug)]
pub struct ReadRequest<S> {
    request: HttpRequest,
    body: Bytes,
    /// A body that cannot be read is logged with the sender's name.
    sender: PhantomData<S>,
}

impl<S: Sender> FromRequest for ReadRequest<S> {
    type Error = SenderRejection;
    type Future = Pin<Box<dyn Future<Output = Result<Self, SenderRejection>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        let mut payload = payload.take();
        Box::pin(async move {
            let body = read(&request, &mut payload).await.map_err(|rejection| rejection.logged(S::NAME))?;
            Ok(Self { request, body, sender: PhantomData })
        })
    }
}

impl<D: InboxDatabase, S: Sender> Handler<ReadRequest<S>> for Receive<D, S> {
    type Output = Result<Receipt, ReceiveError>;
    type Future = Pin<Box<dyn Future<Output = Self::Output>>>;

    fn call(&self, read: ReadRequest<S>) -> Self::Future {
        let inbox = self.clone();
        Box::pin(async move { inbox.store(named(read.request.headers()), &read.body).await })
    }
}

impl Responder for Receipt {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::build(status(self.status())).body(self.body().to_owned())
    }
}

impl ResponseError for ReceiveError {
    fn status_code(&self) -> StatusCode {
        status(self.status())
    }

    fn error_response(&self) -> HttpResponse {
        HttpResponse::build(self.status_code()).body(self.body())
    }
}
