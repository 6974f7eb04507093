//! Who may see the page.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, Request};
use axum::http::header::HOST;

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

    pub(super) fn admits(&self, request: &Request) -> bool {
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

    pub(super) fn text(&self) -> &str {
        match &self.0 {
            Kind::Application(how) => how,
            Kind::Loopback => "only this machine can reach it",
        }
    }
}
