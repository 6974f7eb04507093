//! Extractors of verified events, and their rejections.

use std::fmt;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRef, FromRequest, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::event::WebhookEvent;
use crate::reply::Settle;
use crate::sender::{Delivery, Sender, SignatureError};

/// Why a request did not become an event.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SenderRejection {
    /// The request is not signed by the sender, or it is and the body is not an event: 400. 500 if this server has no
    /// secret.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The body could not be read: 413 if it is over the router's `DefaultBodyLimit`.
    #[error(transparent)]
    Body(#[from] BytesRejection),
    /// The request is no event but the sender's handshake: 200 with the body that it asks for.
    #[error("the request is a handshake")]
    Handshake(String),
}

/// 400, and why; 500 if this server has no secret to verify with.
impl IntoResponse for SignatureError {
    fn into_response(self) -> Response {
        let status =
            if self.is_own_fault() { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::BAD_REQUEST };
        (status, self.to_string()).into_response()
    }
}

/// Never.
#[diagnostic::do_not_recommend]
impl Settle for SignatureError {
    fn is_processed(&self) -> bool {
        false
    }
}

impl IntoResponse for SenderRejection {
    fn into_response(self) -> Response {
        match self {
            Self::Signature(error) => error.into_response(),
            Self::Body(rejection) => rejection.into_response(),
            Self::Handshake(body) => body.into_response(),
        }
    }
}

/// Only a handshake is a success.
#[diagnostic::do_not_recommend]
impl Settle for SenderRejection {
    fn is_processed(&self) -> bool {
        matches!(self, Self::Handshake(_))
    }
}

/// The verified event of a sender, for senders of your own: `Verified<Partner>`.
///
/// A handler that takes one runs on verified events only. The sender comes from the router's state:
/// `Partner: FromRef<S>`. The events of the senders of this crate are extractors by themselves.
pub struct Verified<S: Sender>(
    /// The event.
    pub S::Event,
);

impl<S: Sender<Event: fmt::Debug>> fmt::Debug for Verified<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Verified").field(&self.0).finish()
    }
}

impl<S: Sender> WebhookEvent for Verified<S> {
    fn event_id(&self) -> &str {
        self.0.event_id()
    }

    fn event_type(&self) -> Option<&str> {
        self.0.event_type()
    }
}

impl<S: Sender + FromRef<State>, State: Send + Sync> FromRequest<State> for Verified<S> {
    type Rejection = SenderRejection;

    async fn from_request(request: Request, state: &State) -> Result<Self, SenderRejection> {
        let headers = request.headers().clone();
        let body = Bytes::from_request(request, state).await?;
        let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let delivery = Delivery::new(&body).with_headers(headers);
        let sender = S::from_ref(state);
        if let Some(reply) = sender.handshake(&delivery)? {
            return Err(SenderRejection::Handshake(reply));
        }
        Ok(Self(sender.verify(&delivery)?))
    }
}

macro_rules! extract_event {
    ($(#[$docs:meta])* $event:ty, $webhook:ty) => {
        $(#[$docs])*
        impl<S: Send + Sync> FromRequest<S> for $event
        where
            $webhook: FromRef<S>,
        {
            type Rejection = SenderRejection;

            async fn from_request(request: Request, state: &S) -> Result<Self, SenderRejection> {
                Verified::<$webhook>::from_request(request, state).await.map(|Verified(event)| event)
            }
        }
    };
}

#[cfg(feature = "stripe")]
extract_event!(
    /// A handler that takes a [`StripeEvent`](crate::stripe::StripeEvent) runs on verified events only.
    ///
    /// The secrets come from the router's state: `StripeWebhook: FromRef<S>`.
    ///
    /// ```
    /// use axum::Router;
    /// use axum::extract::{FromRef, State};
    /// use axum::http::StatusCode;
    /// use axum::routing::post;
    /// use ferro_idem::stripe::{StripeEvent, StripeWebhook};
    /// use ferro_idem::{MemoryProcessedLog, idempotent_webhook};
    ///
    /// #[derive(Clone)]
    /// struct App {
    ///     log: MemoryProcessedLog,
    ///     stripe: StripeWebhook,
    /// }
    ///
    /// impl FromRef<App> for StripeWebhook {
    ///     fn from_ref(app: &App) -> Self {
    ///         app.stripe.clone()
    ///     }
    /// }
    ///
    /// #[idempotent_webhook(log = app.log)]
    /// async fn on_event(State(app): State<App>, event: StripeEvent) -> StatusCode {
    ///     println!("{}", event.event_type());
    ///     StatusCode::CREATED
    /// }
    ///
    /// let app = App { log: MemoryProcessedLog::new(), stripe: StripeWebhook::new("whsec_test") };
    /// let router: Router = Router::new().route("/stripe", post(on_event)).with_state(app);
    /// ```
    crate::sender::stripe::StripeEvent,
    crate::sender::stripe::StripeWebhook
);

#[cfg(feature = "github")]
extract_event!(
    /// A handler that takes a [`GithubEvent`](crate::sender::github::GithubEvent) runs on verified events only.
    ///
    /// The secrets come from the router's state: `GithubWebhook: FromRef<S>`.
    crate::sender::github::GithubEvent,
    crate::sender::github::GithubWebhook
);

#[cfg(feature = "hmac")]
extract_event!(
    /// A handler that takes an [`HmacEvent`](crate::sender::hmac::HmacEvent) runs on verified events only.
    ///
    /// The scheme and the secrets come from the router's state: `HmacWebhook: FromRef<S>`.
    crate::sender::hmac::HmacEvent,
    crate::sender::hmac::HmacWebhook
);

#[cfg(feature = "paddle")]
extract_event!(
    /// A handler that takes a [`PaddleEvent`](crate::sender::paddle::PaddleEvent) runs on verified events only.
    ///
    /// The secrets come from the router's state: `PaddleWebhook: FromRef<S>`.
    crate::sender::paddle::PaddleEvent,
    crate::sender::paddle::PaddleWebhook
);

#[cfg(feature = "shopify")]
extract_event!(
    /// A handler that takes a [`ShopifyEvent`](crate::sender::shopify::ShopifyEvent) runs on verified events only.
    ///
    /// The secrets come from the router's state: `ShopifyWebhook: FromRef<S>`.
    crate::sender::shopify::ShopifyEvent,
    crate::sender::shopify::ShopifyWebhook
);

#[cfg(feature = "slack")]
extract_event!(
    /// A handler that takes a [`SlackEvent`](crate::sender::slack::SlackEvent) runs on verified events only.
    ///
    /// The secrets come from the router's state: `SlackWebhook: FromRef<S>`.
    ///
    /// Slack's handshakes are answered without the handler.
    crate::sender::slack::SlackEvent,
    crate::sender::slack::SlackWebhook
);

#[cfg(feature = "square")]
extract_event!(
    /// A handler that takes a [`SquareEvent`](crate::sender::square::SquareEvent) runs on verified events only.
    ///
    /// The secrets come from the router's state: `SquareWebhook: FromRef<S>`.
    crate::sender::square::SquareEvent,
    crate::sender::square::SquareWebhook
);

#[cfg(feature = "standard-webhooks")]
extract_event!(
    /// A handler that takes a [`StandardEvent`](crate::sender::standard::StandardEvent) runs on verified events only.
    ///
    /// The secrets come from the router's state: `StandardWebhook: FromRef<S>`.
    crate::sender::standard::StandardEvent,
    crate::sender::standard::StandardWebhook
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sender::InvalidSecret;

    #[test]
    fn a_forger_is_told_400_and_a_server_without_a_secret_500() {
        let missing = SignatureError::MissingHeader { header: "X-Signature" };
        let invalid = SignatureError::InvalidSecret(InvalidSecret::ApiKey);
        for (error, status) in [(missing, 400), (SignatureError::NoSecret, 500), (invalid, 500)] {
            assert_eq!(error.clone().into_response().status(), status);
            assert_eq!(SenderRejection::from(error).into_response().status(), status);
        }
        assert_eq!(SenderRejection::Handshake("challenge".to_owned()).into_response().status(), 200);
    }
}
