//! A page for operators, as an axum router: see [`console()`].

mod change;
mod chart;
mod counting;
mod events;
mod form;
#[cfg(all(feature = "inbox", any(feature = "mysql", feature = "postgres", feature = "sqlite")))]
mod inbox;
#[cfg(not(all(feature = "inbox", any(feature = "mysql", feature = "postgres", feature = "sqlite"))))]
#[path = "no_inbox.rs"]
mod inbox;
mod overview;
mod parameters;
mod protection;
mod view;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use sha2::{Digest, Sha256};

pub use self::protection::Protection;
use crate::error::Error;
#[cfg(all(feature = "inbox", any(feature = "mysql", feature = "postgres", feature = "sqlite")))]
use crate::inbox::operations::InboxOperations;
use crate::operations::Operations;
use crate::owner::Owner;

/// Nothing but the page's own stylesheet, icon and forms. No scripts.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; \
                      base-uri 'none'";

/// A page over a log's [`operations`](crate::operations): counts, lists, one event's state, and on request changes.
///
/// Nest its router behind the application's own login. It works without JavaScript, and is read-only until
/// [`with_actions`](Console::with_actions).
///
/// ```
/// use axum::Router;
/// use ferro_idem::console::Protection;
/// use ferro_idem::{Error, MemoryProcessedLog};
///
/// # fn main() -> Result<(), Error> {
/// let log = MemoryProcessedLog::new();
/// let console = ferro_idem::console(log.operations(), Protection::by_application("the login of /admin"));
/// let admin: Router = Router::new().nest("/events", console.into_router()?); // .layer(your_login)
/// # Ok(()) }
/// ```
pub fn console(operations: Arc<dyn Operations>, protection: Protection) -> Console {
    Console { operations, inbox: None, protection, has_actions: false, base_path: None, form_key: None }
}

/// The page before it is a router. See [`console()`].
#[must_use]
pub struct Console {
    operations: Arc<dyn Operations>,
    inbox: Option<inbox::Operations>,
    protection: Protection,
    has_actions: bool,
    base_path: Option<String>,
    form_key: Option<[u8; 32]>,
}

impl Console {
    /// Shows an inbox beside the log, with all senders that share its tables.
    ///
    /// ```
    /// # use axum::Router;
    /// # use ferro_idem::console::Protection;
    /// # use ferro_idem::sender::github::GithubWebhook;
    /// # use ferro_idem::{Error, Inbox, SqliteLog};
    /// # fn example(log: SqliteLog, inbox: Inbox<sqlx::Sqlite, GithubWebhook>) -> Result<(), Error> {
    /// let console = ferro_idem::console(log.operations(), Protection::by_application("the login of /admin"))
    ///     .with_inbox(inbox.operations())
    ///     .with_actions();
    /// let admin: Router = Router::new().nest("/events", console.into_router()?);
    /// # Ok(()) }
    /// ```
    #[cfg(all(feature = "inbox", any(feature = "mysql", feature = "postgres", feature = "sqlite")))]
    pub fn with_inbox(self, inbox: Arc<dyn InboxOperations>) -> Self {
        Self { inbox: Some(inbox), ..self }
    }

    /// Lets everyone who reaches the page release, complete and forget events of the log, and replay and discard parked
    /// events of the inbox.
    ///
    /// A change needs a form of this page: requests from other sites are refused. It is carried out only if the event is
    /// as the page showed it.
    pub fn with_actions(self) -> Self {
        Self { has_actions: true, ..self }
    }

    /// Sets where the page is, if a proxy in front of the application changes the path. Without it, links follow the path
    /// at which the router is nested.
    pub fn with_base_path(self, path: impl Into<String>) -> Self {
        Self { base_path: Some(path.into()), ..self }
    }

    /// Accepts the forms of every process that has the same key, for several processes behind a load balancer. The key
    /// is a secret of at least 16 random bytes. Without it, each process accepts only its own forms, until it ends.
    pub fn with_form_key(self, key: impl AsRef<[u8]>) -> Self {
        let key = Sha256::new().chain_update("ferro-idem console\0").chain_update(key).finalize();
        Self { form_key: Some(key.into()), ..self }
    }

    /// The router.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if the operating system fails to provide random numbers for the forms.
    pub fn into_router<S: Clone + Send + Sync + 'static>(self) -> Result<Router<S>, Error> {
        let site = Arc::new(Site {
            operations: self.operations,
            inbox: self.inbox,
            protection: self.protection,
            has_actions: self.has_actions,
            base_path: self.base_path.map(|path| path.trim_end_matches('/').to_owned()),
            form_token: match self.form_key {
                Some(key) => hex::encode(key),
                None => hex::encode(Owner::random()?.as_bytes()),
            },
        });
        Ok(inbox::routes()
            .route("/", get(overview::overview))
            .route("/events", get(events::events))
            .route("/find", get(events::find))
            .route("/event", get(events::event))
            .route("/change", post(change::change))
            .route("/style.css", get(style))
            .route("/icon.svg", get(icon))
            .layer(from_fn_with_state(Arc::clone(&site), guard))
            .with_state(site))
    }
}

impl std::fmt::Debug for Console {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Console")
            .field("protection", &self.protection)
            .field("has_actions", &self.has_actions)
            .finish_non_exhaustive()
    }
}

struct Site {
    operations: Arc<dyn Operations>,
    inbox: Option<inbox::Operations>,
    protection: Protection,
    has_actions: bool,
    base_path: Option<String>,
    /// In each form. Another site cannot read it.
    form_token: String,
}

async fn style() -> Response {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("style.css")).into_response()
}

async fn icon() -> Response {
    ([(CONTENT_TYPE, "image/svg+xml")], include_str!("icon.svg")).into_response()
}

/// Refuses callers who must not see the page, and sets the headers of every answer.
async fn guard(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let mut response = if site.protection.admits(&request) {
        next.run(request).await
    } else {
        (StatusCode::FORBIDDEN, "this page answers only connections from this machine\n").into_response()
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
