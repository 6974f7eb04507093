//! A page for operators, as an axum router: see [`console()`].

mod change;
mod pages;
mod view;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use crate::error::Error;
use crate::operations::Operations;
use crate::owner::Owner;

/// Nothing but the page's own stylesheet and forms. No scripts.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// How the page is protected. It has no login of its own.
#[derive(Clone, Debug)]
pub struct Protection(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Application(String),
    Loopback,
}

impl Protection {
    /// The application protects the page: with a layer around its router, or with a proxy in front of it. `how` is shown
    /// on the page, for example "the login of /admin".
    pub fn by_application(how: impl Into<String>) -> Self {
        Self(Kind::Application(how.into()))
    }

    /// The page answers only connections from this machine, for development. The router has to be served with
    /// `into_make_service_with_connect_info::<SocketAddr>()`; otherwise everything is refused. Behind a proxy on the same
    /// machine every connection comes from this machine, so do not use it there.
    pub fn loopback() -> Self {
        Self(Kind::Loopback)
    }

    fn admits(&self, request: &Request) -> bool {
        match &self.0 {
            Kind::Application(_) => true,
            Kind::Loopback => {
                let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
                // A page of another site may have its name lead here.
                let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
                let host = host.or(request.uri().host()).map(|host| match host.rsplit_once(':') {
                    Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
                    _ => host,
                });
                let is_here = |host: &str| {
                    let address = host.trim_matches(['[', ']']);
                    host.eq_ignore_ascii_case("localhost")
                        || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
                };
                peer.is_some_and(|ConnectInfo(peer)| peer.ip().is_loopback()) && host.is_some_and(is_here)
            }
        }
    }

    fn text(&self) -> &str {
        match &self.0 {
            Kind::Application(how) => how,
            Kind::Loopback => "only this machine can reach it",
        }
    }
}

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
    Console { operations, protection, has_actions: false, base_path: None }
}

/// The page before it is a router. See [`console()`].
#[must_use]
pub struct Console {
    operations: Arc<dyn Operations>,
    protection: Protection,
    has_actions: bool,
    base_path: Option<String>,
}

impl Console {
    /// Lets everyone who reaches the page release, complete and forget events.
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

    /// The router.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if the operating system fails to provide random numbers for the forms.
    pub fn into_router<S: Clone + Send + Sync + 'static>(self) -> Result<Router<S>, Error> {
        let site = Arc::new(Site {
            operations: self.operations,
            protection: self.protection,
            has_actions: self.has_actions,
            base_path: self.base_path.map(|path| path.trim_end_matches('/').to_owned()),
            form_token: hex::encode(Owner::random()?.as_bytes()),
        });
        Ok(Router::new()
            .route("/", get(pages::overview))
            .route("/events", get(pages::events))
            .route("/find", get(pages::find))
            .route("/event", get(pages::event))
            .route("/change", post(change::change))
            .route("/style.css", get(style))
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
    protection: Protection,
    has_actions: bool,
    base_path: Option<String>,
    /// In each form. Another site cannot read it.
    form_token: String,
}

async fn style() -> Response {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("style.css")).into_response()
}

/// Refuses who must not see the page, and sets the headers of every answer.
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
