//! One endpoint that charges, behind each subject, written as its own documentation says.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum_idempotent::{IdempotentLayer, IdempotentOptions};
use ferro_idem::replay::IdempotencyKey;
use ferro_idem::{Error, MemoryProcessedLog, SqliteLog, idempotent_webhook};
use idempotent::entry::ExistingEntry;
use idempotent::fingerprint::{DefaultFingerprintStrategy, FingerprintStrategy};
use idempotent::store::memory::MemoryStore;
use idempotent::store::{IdempotencyStore as _, InsertResult};
use idempotent::{CachedResponse, IdempotencyEntry, Metadata};
use ruts::store::Ttl;
use ruts::store::moka::MokaStore;
use ruts::{CookieOptions, Session, SessionLayer};
use sqlx::SqlitePool;
use tokio::sync::Semaphore;
use tower::ServiceExt;
use tower_cookies::CookieManagerLayer;

const RECEIPT_BYTES: usize = 2_048;
const SESSIONS: usize = 64;

/// Where the charge happens, and where a test stops the handler behind it.
#[derive(Clone)]
pub struct Shop {
    pub charges: Option<SqlitePool>,
    pub charged: Arc<Semaphore>,
    pub may_reply: Arc<Semaphore>,
}

impl Shop {
    pub fn new(charges: Option<SqlitePool>) -> Self {
        let none = || Arc::new(Semaphore::new(0));
        Self { charges, charged: none(), may_reply: none() }
    }

    async fn charge(&self, body: &str) -> Result<Response, Error> {
        if let Some(pool) = &self.charges {
            let charge = sqlx::query("INSERT INTO charges VALUES (1)").execute(pool).await;
            charge.map_err(|error| Error::store("charge", error))?;
        }
        Ok(self.reply(body).await)
    }

    async fn reply(&self, body: &str) -> Response {
        if body == "waits" {
            self.charged.add_permits(1);
            self.may_reply.acquire().await.expect("never closed").forget();
        }
        (StatusCode::CREATED, "x".repeat(RECEIPT_BYTES)).into_response()
    }
}

/// A router, and what its clients have to send.
#[derive(Clone)]
pub struct Subject {
    pub name: &'static str,
    router: Router,
    cookies: Vec<HeaderValue>,
}

impl Subject {
    pub async fn post(&self, key: usize, body: &'static str) -> Response {
        let mut request = Request::post("/charges").header("idempotency-key", format!("key-{key}"));
        if !self.cookies.is_empty() {
            request = request.header("cookie", &self.cookies[key % self.cookies.len()]);
        }
        let request = request.body(Body::from(body)).expect("a request");
        self.router.clone().oneshot(request).await.unwrap_or_else(|never| match never {})
    }
}

/// Ours, in memory under a claim.
pub fn ours_in_memory(shop: Shop) -> Subject {
    #[idempotent_webhook(log = log, event = key, claim, replay, fingerprint = &body)]
    async fn charge(
        State((log, shop)): State<(MemoryProcessedLog, Shop)>,
        key: IdempotencyKey,
        body: String,
    ) -> Result<Response, Error> {
        shop.charge(&body).await
    }
    let router = Router::new().route("/charges", post(charge)).with_state((MemoryProcessedLog::new(), shop));
    Subject { name: "ferro-idem", router, cookies: Vec::new() }
}

/// Ours, where the charge is: in SQLite, in one transaction with it.
pub fn ours_in_sqlite(log: SqliteLog, shop: Shop) -> Subject {
    #[idempotent_webhook(log = log, event = key, transaction(tx), replay, fingerprint = &body)]
    async fn charge(
        State((log, shop)): State<(SqliteLog, Shop)>,
        key: IdempotencyKey,
        body: String,
    ) -> Result<Response, Error> {
        let charge = sqlx::query("INSERT INTO charges VALUES (1)").execute(&mut *tx).await;
        charge.map_err(|error| Error::store("charge", error))?;
        Ok(shop.reply(&body).await)
    }
    let router = Router::new().route("/charges", post(charge)).with_state((log, shop));
    Subject { name: "ferro-idem", router, cookies: Vec::new() }
}

/// A layer around the handler, over a session store.
pub async fn axum_idempotent(shop: Shop) -> Subject {
    async fn log_in(session: Session<MokaStore>) {
        let ttl = Ttl::new(3_600).expect("a ttl");
        session.set("user", &"ann".to_owned(), ttl, None).await.expect("memory does not fail");
    }
    async fn charge(State(shop): State<Shop>, body: String) -> Result<Response, Error> {
        shop.charge(&body).await
    }
    let options = IdempotentOptions::default()
        .use_idempotency_key_header(Some("Idempotency-Key"), true)
        .expire_after(3_600);
    let session = CookieOptions::build().name("session").max_age(3_600).path("/");
    let router = Router::new()
        .route("/charges", post(charge))
        .layer(IdempotentLayer::<MokaStore>::new(options))
        .route("/log-in", post(log_in))
        .layer(SessionLayer::new(Arc::new(MokaStore::builder().build())).with_cookie_options(session))
        .layer(CookieManagerLayer::new())
        .with_state(shop);
    let mut cookies = Vec::new();
    for _ in 0..SESSIONS {
        let request = Request::post("/log-in").body(Body::empty()).expect("a request");
        let answer = router.clone().oneshot(request).await.unwrap_or_else(|never| match never {});
        let cookie = answer.headers()["set-cookie"].to_str().expect("text");
        cookies.push(cookie.split(';').next().expect("a cookie").parse().expect("a header"));
    }
    Subject { name: "axum-idempotent 0.6.0", router, cookies }
}

/// A store that the handler calls itself.
pub fn idempotent(shop: Shop, ttl: Duration) -> Subject {
    async fn charge(
        State((store, shop, ttl)): State<(Arc<MemoryStore>, Shop, Duration)>,
        headers: HeaderMap,
        body: String,
    ) -> Result<Response, Error> {
        let key = headers["idempotency-key"].to_str().expect("text");
        let key = idempotent::IdempotencyKey::new(key).expect("a valid key");
        let fingerprint = DefaultFingerprintStrategy.compute("POST /charges", body.as_bytes());
        let entry = IdempotencyEntry::new(fingerprint, ttl);
        match store.try_insert(&key, entry.clone()).await.expect("memory does not fail") {
            InsertResult::Claimed { fencing_token } => {
                let (parts, body) = shop.charge(&body).await?.into_parts();
                let body = axum::body::to_bytes(body, 1 << 20).await.expect("complete in memory");
                let status_code = parts.status.as_u16();
                let kept = CachedResponse { status_code, metadata: Metadata::default(), body: body.clone() };
                store
                    .complete(&key, entry.complete(kept), fencing_token)
                    .await
                    .expect("memory does not fail");
                Ok((parts, body).into_response())
            }
            InsertResult::Exists(ExistingEntry::Processing(_)) => Ok(StatusCode::CONFLICT.into_response()),
            InsertResult::Exists(ExistingEntry::Completed(kept)) if kept.fingerprint_matches(fingerprint) => {
                let kept = kept.into_response();
                let status = StatusCode::from_u16(kept.status_code).expect("a status");
                Ok((status, kept.body).into_response())
            }
            InsertResult::Exists(_) => Ok(StatusCode::UNPROCESSABLE_ENTITY.into_response()),
        }
    }
    let store = Arc::new(MemoryStore::new(1 << 20, ttl));
    let router = Router::new().route("/charges", post(charge)).with_state((store, shop, ttl));
    Subject { name: "idempotent 0.3.0", router, cookies: Vec::new() }
}
