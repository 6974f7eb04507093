//! An API with an `Idempotency-Key`, on each framework.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use ferro_idem::replay::IdempotencyKey;
use ferro_idem::{Error, MemoryProcessedLog, idempotent_webhook};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::servers::{Answer, Server};

#[derive(Clone)]
struct Bank {
    log: MemoryProcessedLog,
    charges: Arc<AtomicU32>,
    began: Arc<Semaphore>,
    may_end: Arc<Semaphore>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Receipt {
    charge: u32,
    request: String,
}

impl Bank {
    fn new() -> Self {
        let none = || Arc::new(Semaphore::new(0));
        Self { log: MemoryProcessedLog::new(), charges: Arc::default(), began: none(), may_end: none() }
    }

    async fn charge(&self, request: &str) -> Receipt {
        let charge = self.charges.fetch_add(1, Ordering::SeqCst);
        if request == "waits" {
            self.began.add_permits(1);
            self.may_end.acquire().await.unwrap().forget();
        }
        Receipt { charge, request: request.to_owned() }
    }

    fn charges(&self) -> u32 {
        self.charges.load(Ordering::SeqCst)
    }
}

/// The same handlers for each framework.
macro_rules! handlers {
    ($(#[$handler:meta])* $response:ty, $json:ty, $app:pat => $app_type:ty, $bank:expr) => {
        $(#[$handler])*
        #[idempotent_webhook(log = $bank.log, event = key, claim, replay, fingerprint = &body)]
        async fn as_response($app: $app_type, key: IdempotencyKey, body: String) -> Result<$response, Error> {
            Ok(respond($bank.charge(&body).await))
        }

        $(#[$handler])*
        #[idempotent_webhook(log = $bank.log, event = key, claim, replay, fingerprint = &body, scope = "json")]
        async fn as_json($app: $app_type, key: IdempotencyKey, body: String) -> Result<$json, Error> {
            Ok(created($bank.charge(&body).await))
        }
    };
}

mod on_axum {
    use axum::Json;
    use axum::extract::State;
    use axum::http::StatusCode;
    use axum::middleware::from_fn;
    use axum::response::{IntoResponse, Response};
    use axum::routing::post;

    use super::*;

    fn respond(receipt: Receipt) -> Response {
        let headers = [("location", "/charges/1"), ("set-cookie", "basket=7")];
        (StatusCode::CREATED, headers, Json(receipt)).into_response()
    }

    fn created(receipt: Receipt) -> (StatusCode, Json<Receipt>) {
        (StatusCode::CREATED, Json(receipt))
    }

    handlers!(Response, (StatusCode, Json<Receipt>), State(bank) => State<Bank>, bank);

    pub(super) async fn serve(bank: Bank) -> Server {
        let json = post(as_json).layer(from_fn(ferro_idem::replay::layer::axum));
        let router = axum::Router::new().route("/response", post(as_response)).route("/json", json);
        Server::axum(router.with_state(bank)).await
    }
}

mod on_actix {
    use actix_web::HttpResponse;
    use actix_web::http::StatusCode;
    use actix_web::middleware::from_fn;
    use actix_web::web::{Data, Json, post, resource};

    use super::*;

    fn respond(receipt: Receipt) -> HttpResponse {
        let mut response = HttpResponse::Created();
        response.insert_header(("location", "/charges/1")).insert_header(("set-cookie", "basket=7"));
        response.json(receipt)
    }

    fn created(receipt: Receipt) -> (Json<Receipt>, StatusCode) {
        (Json(receipt), StatusCode::CREATED)
    }

    handlers!(HttpResponse, (Json<Receipt>, StatusCode), bank => Data<Bank>, bank);

    #[allow(clippy::unused_async, reason = "as those of the other frameworks")]
    pub(super) async fn serve(bank: Bank) -> Server {
        Server::actix(move |config| {
            let json = resource("/json")
                .wrap(from_fn(ferro_idem::replay::layer::actix_web))
                .route(post().to(as_json));
            config.app_data(Data::new(bank.clone())).route("/response", post().to(as_response)).service(json);
        })
    }
}

mod on_poem {
    use poem::http::StatusCode;
    use poem::web::{Data, Json};
    use poem::{EndpointExt, IntoResponse, Response, Route, handler, post};

    use super::*;

    fn respond(receipt: Receipt) -> Response {
        let response = Json(receipt).with_status(StatusCode::CREATED).with_header("location", "/charges/1");
        response.with_header("set-cookie", "basket=7").into_response()
    }

    fn created(receipt: Receipt) -> (StatusCode, Json<Receipt>) {
        (StatusCode::CREATED, Json(receipt))
    }

    handlers!(#[handler] Response, (StatusCode, Json<Receipt>), Data(bank) => Data<&Bank>, bank);

    pub(super) async fn serve(bank: Bank) -> Server {
        let json = post(as_json).around(ferro_idem::replay::layer::poem);
        Server::poem(Route::new().at("/response", post(as_response)).at("/json", json).data(bank)).await
    }
}

/// One test for each framework: `promise(bank, server)`.
macro_rules! on_each_framework {
    ($($promise:ident),* $(,)?) => {$(
        mod $promise {
            use super::Bank;

            #[tokio::test]
            async fn on_axum() {
                let bank = Bank::new();
                super::$promise(&bank, &super::on_axum::serve(bank.clone()).await).await;
            }

            #[tokio::test]
            async fn on_actix() {
                let bank = Bank::new();
                super::$promise(&bank, &super::on_actix::serve(bank.clone()).await).await;
            }

            #[tokio::test]
            async fn on_poem() {
                let bank = Bank::new();
                super::$promise(&bank, &super::on_poem::serve(bank.clone()).await).await;
            }
        }
    )*};
}

on_each_framework! {
    every_retry_gets_the_same_bytes_and_is_marked_as_replayed,
    another_request_under_the_key_is_422,
    a_retry_of_a_running_request_is_409_and_says_when_to_retry,
    a_request_without_a_valid_key_is_400_and_told_what_to_send,
}

async fn post(server: &Server, path: &str, key: &str, body: &str) -> Answer {
    Answer::of(server.request(path, &[("Idempotency-Key", key.to_owned())], body).send().await.unwrap()).await
}

async fn every_retry_gets_the_same_bytes_and_is_marked_as_replayed(bank: &Bank, server: &Server) {
    for path in ["/response", "/json"] {
        let first = post(server, path, "\"key-1\"", "pay").await;
        assert_eq!((first.status, first.header("idempotent-replayed")), (201, None), "{path}");
        assert!(
            first.text.starts_with("{\"charge\":") && first.text.ends_with("\"request\":\"pay\"}"),
            "{first:?}"
        );
        for key in ["\"key-1\"", "key-1"] {
            let again = post(server, path, key, "pay").await;
            assert_eq!((again.status, &again.text), (first.status, &first.text), "{path}");
            assert_eq!(again.header("idempotent-replayed"), Some("true"), "{path}");
            for header in ["content-type", "location"] {
                assert_eq!(again.header(header), first.header(header), "{path} {header}");
            }
            assert_eq!(again.header("set-cookie"), None, "{path}");
        }
    }
    assert_eq!(bank.charges(), 2);
}

async fn another_request_under_the_key_is_422(bank: &Bank, server: &Server) {
    assert_eq!(post(server, "/response", "key-1", "pay 1").await.status, 201);
    let other = post(server, "/response", "key-1", "pay 2").await;
    assert_eq!((other.status, other.header("idempotent-replayed")), (422, None));
    assert!(other.text.contains("use a new key"), "{other:?}");
    assert_eq!(bank.charges(), 1);
}

async fn a_retry_of_a_running_request_is_409_and_says_when_to_retry(bank: &Bank, server: &Server) {
    let running = tokio::spawn({
        let server = server.clone();
        async move { post(&server, "/response", "key-1", "waits").await }
    });
    bank.began.acquire().await.unwrap().forget();
    let retry = post(server, "/response", "key-1", "waits").await;
    assert_eq!(retry.status, 409);
    let seconds: u64 = retry.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds), "{retry:?}");
    bank.may_end.add_permits(1);
    let first = running.await.unwrap();
    let again = post(server, "/response", "key-1", "waits").await;
    assert_eq!((again.status, again.text), (201, first.text));
}

async fn a_request_without_a_valid_key_is_400_and_told_what_to_send(bank: &Bank, server: &Server) {
    for (headers, expected) in [
        (&[][..], "is missing: send one with a new value"),
        (&["a", "b"], "is repeated: send one"),
        (&["\"a"], "is malformed: send a string in quotes"),
        (&["a b"], "is malformed"),
        (&["\"\""], "is malformed"),
        (&["x".repeat(256).as_str()], "send at most 255"),
    ] {
        let headers: Vec<_> = headers.iter().map(|value| ("Idempotency-Key", (*value).to_owned())).collect();
        let refused = Answer::of(server.request("/response", &headers, "pay").send().await.unwrap()).await;
        assert_eq!(refused.status, 400, "{headers:?}");
        assert!(refused.text.contains(expected), "{refused:?}");
    }
    assert_eq!(bank.charges(), 0);
}
