//! One application, whose bodies do what the event says, on each framework.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ferro_idem::sender::github::{GithubEvent, GithubWebhook};
use ferro_idem::sender::slack::{SlackEvent, SlackWebhook};
use ferro_idem::sender::{BodyLimit, Delivery, IdCoverage, PayloadError, Sender, SignatureError, Verified};
use ferro_idem::stripe::StripeEvent;
use ferro_idem::{Error, EventRef, MemoryProcessedLog, ProcessedEventLog, async_trait, idempotent_webhook};
use tokio::sync::Semaphore;

use crate::servers::Server;

pub(crate) const LIMIT: usize = 1024;

/// A sender of the application's own.
#[derive(Clone)]
pub(crate) struct Partner;

impl Sender for Partner {
    type Event = serde_json::Value;
    const NAME: &'static str = "partner";
    const ID: IdCoverage = IdCoverage::Unsigned;

    fn verify(&self, delivery: &Delivery<'_>) -> Result<Self::Event, SignatureError> {
        if !ferro_idem::sender::is_equal("token", delivery.header("X-Token")?) {
            return Err(SignatureError::Mismatch);
        }
        Ok(self.decode(delivery)?)
    }

    fn decode(&self, delivery: &Delivery<'_>) -> Result<Self::Event, PayloadError> {
        delivery.json()
    }
}

/// A store that is down.
struct Broken;

#[async_trait]
impl ProcessedEventLog for Broken {
    async fn try_mark_processed(&self, event_id: &str) -> Result<bool, Error> {
        EventRef::new(event_id)?;
        Err(Error::store("mark the event", "the canary table is locked"))
    }
}

#[derive(Clone)]
pub(crate) struct Shop {
    pub(crate) log: MemoryProcessedLog,
    pub(crate) github: GithubWebhook,
    pub(crate) slack: SlackWebhook,
    ran: Arc<AtomicUsize>,
    /// A permit for each body that waits and has begun.
    pub(crate) began: Arc<Semaphore>,
    /// A permit for each of them that may end.
    pub(crate) may_end: Arc<Semaphore>,
}

impl Shop {
    pub(crate) fn new() -> Self {
        Self {
            log: MemoryProcessedLog::new(),
            github: GithubWebhook::new("canary"),
            slack: SlackWebhook::new("canary"),
            ran: Arc::default(),
            began: Arc::new(Semaphore::new(0)),
            may_end: Arc::new(Semaphore::new(0)),
        }
    }

    pub(crate) fn ran(&self) -> usize {
        self.ran.load(Ordering::SeqCst)
    }

    /// The status of a body, by the event's action.
    async fn body(&self, action: Option<&str>) -> u16 {
        let is_first = self.ran.fetch_add(1, Ordering::SeqCst) == 0;
        match action {
            Some("redirects") if is_first => 303,
            Some("fails") if is_first => 502,
            Some("waits") => {
                self.began.add_permits(1);
                self.may_end.acquire().await.unwrap().forget();
                201
            }
            _ => 201,
        }
    }
}

/// The same handlers for each framework, which differ in how they take the application and answer a status.
macro_rules! handlers {
    ($(#[$handler:meta])* $reply:ty, $app:pat => $app_type:ty, $shop:expr) => {
        $(#[$handler])*
        #[idempotent_webhook(log = $shop.log, claim)]
        async fn github($app: $app_type, event: GithubEvent) -> Result<$reply, Error> {
            Ok(answer($shop.body(event.action()).await))
        }

        /// The body's failure is the handler's own error.
        $(#[$handler])*
        #[idempotent_webhook(log = $shop.log, claim, scope = "errors")]
        async fn errors($app: $app_type, event: GithubEvent) -> Result<$reply, Error> {
            match $shop.body(event.action()).await {
                502 => Err(Error::store("call the bank", "canary")),
                status => Ok(answer(status)),
            }
        }

        $(#[$handler])*
        #[idempotent_webhook(log = $shop.log, scope = "fenced")]
        async fn fenced($app: $app_type, event: GithubEvent) -> $reply {
            answer($shop.body(event.action()).await)
        }

        $(#[$handler])*
        #[idempotent_webhook(log = $shop.log, scope = "slack")]
        async fn slack($app: $app_type, event: SlackEvent) -> Result<$reply, Error> {
            Ok(answer($shop.body(None).await))
        }

        $(#[$handler])*
        #[idempotent_webhook(log = $shop.log, scope = "partner")]
        async fn partner($app: $app_type, event: Verified<Partner>) -> Result<$reply, Error> {
            Ok(answer($shop.body(None).await))
        }

        $(#[$handler])*
        #[idempotent_webhook(log = Broken)]
        async fn broken($app: $app_type, event: GithubEvent) -> Result<$reply, Error> {
            Ok(answer($shop.body(None).await))
        }
    };
}

pub(crate) mod on_axum {
    use axum::extract::{DefaultBodyLimit, FromRef, State};
    use axum::http::StatusCode;
    use axum::routing::post;

    use super::*;

    impl FromRef<Shop> for GithubWebhook {
        fn from_ref(shop: &Shop) -> Self {
            shop.github.clone()
        }
    }

    impl FromRef<Shop> for SlackWebhook {
        fn from_ref(shop: &Shop) -> Self {
            shop.slack.clone()
        }
    }

    impl FromRef<Shop> for Partner {
        fn from_ref(_: &Shop) -> Self {
            Self
        }
    }

    fn answer(status: u16) -> StatusCode {
        StatusCode::from_u16(status).unwrap()
    }

    handlers!(StatusCode, State(shop) => State<Shop>, shop);

    pub(crate) async fn serve(shop: Shop) -> Server {
        let router = axum::Router::new()
            .route("/github", post(github))
            .route("/errors", post(errors))
            .route("/fenced", post(fenced))
            .route("/slack", post(slack))
            .route("/partner", post(partner))
            .route("/broken", post(broken))
            .route("/unlimited", post(github).layer(DefaultBodyLimit::disable()))
            .layer(DefaultBodyLimit::max(LIMIT));
        Server::axum(router.with_state(shop)).await
    }
}

pub(crate) mod on_actix {
    use actix_web::HttpResponse;
    use actix_web::http::StatusCode;
    use actix_web::web::{Data, PayloadConfig, post, scope};

    use super::*;

    fn answer(status: u16) -> HttpResponse {
        HttpResponse::new(StatusCode::from_u16(status).unwrap())
    }

    handlers!(HttpResponse, shop => Data<Shop>, shop);

    async fn no_sender(_event: StripeEvent) -> HttpResponse {
        HttpResponse::Ok().finish()
    }

    pub(crate) fn serve(shop: Shop) -> Server {
        Server::actix(move |config| {
            config
                .app_data(Data::new(shop.clone()))
                // Both forms that an application may choose.
                .app_data(shop.github.clone())
                .app_data(Data::new(shop.slack.clone()))
                .app_data(Partner)
                .route("/default", post().to(github))
                .route("/no_sender", post().to(no_sender))
                .service(
                    scope("")
                        .app_data(PayloadConfig::new(LIMIT))
                        .route("/github", post().to(github))
                        .route("/errors", post().to(errors))
                        .route("/fenced", post().to(fenced))
                        .route("/slack", post().to(slack))
                        .route("/partner", post().to(partner))
                        .route("/broken", post().to(broken)),
                );
        })
    }
}

pub(crate) mod on_poem {
    use poem::http::StatusCode;
    use poem::web::Data;
    use poem::{EndpointExt, Route, handler, post};

    use super::*;

    fn answer(status: u16) -> StatusCode {
        StatusCode::from_u16(status).unwrap()
    }

    handlers!(#[handler] StatusCode, Data(shop) => Data<&Shop>, shop);

    #[handler]
    #[allow(clippy::unused_async, reason = "handlers are async")]
    async fn no_sender(_event: StripeEvent) -> StatusCode {
        StatusCode::OK
    }

    pub(crate) async fn serve(shop: Shop) -> Server {
        let limited = Route::new()
            .at("/github", post(github))
            .at("/errors", post(errors))
            .at("/fenced", post(fenced))
            .at("/slack", post(slack))
            .at("/partner", post(partner))
            .at("/broken", post(broken))
            .data(BodyLimit(LIMIT));
        let endpoint = Route::new()
            .at("/default", post(github))
            .at("/no_sender", post(no_sender))
            .nest_no_strip("/", limited)
            .data(shop.github.clone())
            .data(shop.slack.clone())
            .data(Partner)
            .data(shop);
        Server::poem(endpoint).await
    }
}
