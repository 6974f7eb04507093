//! An API that charges, over any log that keeps replies.

use std::collections::HashSet;
use std::ops::Deref;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use ferro_idem::operations::Operations;
use ferro_idem::replay::{IdempotencyKey, ReplayLog, TransactionalReplayLog};
use ferro_idem::{ClaimLog, Error, SqlLog, idempotent_webhook};
use ferro_idem_tests::broken;
use sqlx::{MySql, Postgres, Sqlite};
use tokio::sync::Semaphore;
use tower::ServiceExt;

/// What the bodies of one test share.
#[derive(Clone)]
pub(super) struct Clerk {
    lease: Duration,
    keep: Duration,
    /// The runs of the body. Each says its number in its reply, so that no two replies are alike.
    runs: Arc<AtomicU32>,
    /// A bank elsewhere, which charges once for each key.
    bank: Arc<Mutex<HashSet<String>>>,
    pub(super) began: Arc<Semaphore>,
    pub(super) may_end: Arc<Semaphore>,
}

impl Default for Clerk {
    fn default() -> Self {
        let none = || Arc::new(Semaphore::new(0));
        Self {
            lease: Duration::from_mins(1),
            keep: Duration::from_hours(1),
            runs: Arc::default(),
            bank: Arc::default(),
            began: none(),
            may_end: none(),
        }
    }
}

impl Clerk {
    pub(super) fn with_lease(self, lease: Duration) -> Self {
        Self { lease, ..self }
    }

    pub(super) fn with_keep(self, keep: Duration) -> Self {
        Self { keep, ..self }
    }

    pub(super) fn runs(&self) -> u32 {
        self.runs.load(Ordering::SeqCst)
    }

    async fn serve(&self, request: &str) -> Result<Response, Error> {
        let run = self.runs.fetch_add(1, Ordering::SeqCst) + 1;
        tokio::task::yield_now().await;
        match request {
            "fails" => return Err(broken()),
            "waits" => {
                self.began.add_permits(1);
                self.may_end.acquire().await.unwrap().forget();
            }
            _ => {}
        }
        let headers =
            [("location", format!("/charges/{run}")), ("content-type", "text/x-receipt".to_owned())];
        Ok((StatusCode::CREATED, headers, format!("run {run}: {request}")).into_response())
    }
}

/// Who calls.
struct Tenant(String);

impl<S: Send + Sync> FromRequestParts<S> for Tenant {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        let tenant = parts.headers.get("x-tenant").and_then(|tenant| tenant.to_str().ok());
        tenant.map(|tenant| Self(tenant.to_owned())).ok_or(StatusCode::UNAUTHORIZED)
    }
}

#[derive(Clone)]
struct App<L> {
    log: L,
    clerk: Clerk,
}

#[idempotent_webhook(
    log = app.log,
    event = key,
    claim(c, lease = app.clerk.lease),
    replay,
    fingerprint = &body,
    scope = tenant,
    keep = app.clerk.keep,
)]
async fn claimed<L: ClaimLog + ReplayLog>(
    State(app): State<App<L>>,
    Tenant(tenant): Tenant,
    key: IdempotencyKey,
    body: String,
) -> Result<Response, Error> {
    app.clerk.bank.lock().unwrap().insert(c.idempotency_key("charge"));
    app.clerk.serve(&body).await
}

#[idempotent_webhook(
    log = app.log,
    event = key,
    transaction(tx),
    replay,
    fingerprint = &body,
    scope = tenant,
    keep = app.clerk.keep,
)]
async fn transacted<L: Charges>(
    State(app): State<App<L>>,
    Tenant(tenant): Tenant,
    key: IdempotencyKey,
    body: String,
) -> Result<Response, Error> {
    L::charge(tx, &format!("{tenant} {key}")).await?;
    app.clerk.serve(&body).await
}

/// A log in a database that has charges as well.
pub(super) trait Charges:
    TransactionalReplayLog<Transaction: Deref<Target: Send>> + Clone + 'static
{
    fn charge(
        tx: &mut <Self::Transaction as Deref>::Target,
        request: &str,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    fn charges(&self) -> impl Future<Output = usize> + Send;
}

/// A request has no unique key, so that one that is charged twice has two rows.
pub(super) const CHARGES: &str = "CREATE TABLE charges (request VARCHAR(255) NOT NULL)";

macro_rules! charges_in {
    ($($database:ty: $insert:literal),*) => {$(
        impl Charges for SqlLog<$database> {
            async fn charge(
                tx: &mut <$database as sqlx::Database>::Connection,
                request: &str,
            ) -> Result<(), Error> {
                let charge = sqlx::query($insert).bind(request).execute(tx).await;
                charge.map(drop).map_err(|error| Error::store("charge", error))
            }

            async fn charges(&self) -> usize {
                let requests: Vec<String> =
                    sqlx::query_scalar("SELECT request FROM charges").fetch_all(self.pool()).await.unwrap();
                requests.len()
            }
        }
    )*};
}

charges_in!(
    Sqlite: "INSERT INTO charges VALUES (?)",
    MySql: "INSERT INTO charges VALUES (?)",
    Postgres: "INSERT INTO charges VALUES ($1)"
);

type Counting = Arc<dyn Fn() -> std::pin::Pin<Box<dyn Future<Output = usize> + Send>> + Send + Sync>;

/// The API over one handle on a store.
#[derive(Clone)]
pub(super) struct Api {
    router: Router,
    pub(super) clerk: Clerk,
    charges: Counting,
    pub(super) operations: Arc<dyn Operations>,
}

impl Api {
    pub(super) fn claiming<L>(log: L, operations: Arc<dyn Operations>, clerk: Clerk) -> Self
    where
        L: ClaimLog + ReplayLog + Clone + 'static,
    {
        let bank = Arc::clone(&clerk.bank);
        let charges: Counting = Arc::new(move || {
            let charges = bank.lock().unwrap().len();
            Box::pin(async move { charges })
        });
        let router = Router::new().route("/charges", post(claimed::<L>));
        let router = router.with_state(App { log, clerk: clerk.clone() });
        Self { router, clerk, charges, operations }
    }

    pub(super) fn transacting<L: Charges>(log: L, operations: Arc<dyn Operations>, clerk: Clerk) -> Self {
        let counted = log.clone();
        let charges: Counting = Arc::new(move || {
            let log = counted.clone();
            Box::pin(async move { log.charges().await })
        });
        let router = Router::new().route("/charges", post(transacted::<L>));
        let router = router.with_state(App { log, clerk: clerk.clone() });
        Self { router, clerk, charges, operations }
    }

    /// The charges that have happened.
    pub(super) async fn charges(&self) -> usize {
        (self.charges)().await
    }

    pub(super) async fn post(&self, tenant: &str, key: &str, body: &str) -> Answer {
        let request = Request::post("/charges").header("x-tenant", tenant).header("idempotency-key", key);
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let Ok(response) = self.router.clone().oneshot(request).await;
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, 1_000_000).await.unwrap();
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// Sends the request again, as a client does, until it is neither running nor refused for the moment.
    pub(super) async fn retry(&self, tenant: &str, key: &str, body: &str) -> Answer {
        let start = std::time::Instant::now();
        loop {
            let answer = self.post(tenant, key, body).await;
            if !matches!(answer.status, 409 | 503) || start.elapsed() > Duration::from_mins(1) {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Of the first request.
    pub(super) fn is_first(&self) -> bool {
        (self.status, self.header("idempotent-replayed")) == (201, None)
    }

    /// Byte for byte, and said to be so.
    pub(super) fn is_replay_of(&self, first: &Self) -> bool {
        let mut expected = first.headers.clone();
        expected.insert("idempotent-replayed", "true".parse().unwrap());
        (self.status, &self.headers, &self.body) == (first.status, &expected, &first.body)
    }
}
