//! A real server of each framework, and a client.

use std::net::{SocketAddr, TcpListener as StdListener};

use actix_web::web::ServiceConfig;
use ferro_idem::sender::github::GithubWebhook;
use poem::IntoEndpoint;
use poem::listener::TcpAcceptor;
use reqwest::{Client, RequestBuilder, Response};
use tokio::net::TcpListener;

/// It serves on a free port until the test's process ends.
#[derive(Clone)]
pub(crate) struct Server {
    client: Client,
    address: SocketAddr,
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<String>,
    pub(crate) text: String,
}

impl Server {
    pub(crate) async fn axum(router: axum::Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        Self::at(address)
    }

    pub(crate) fn actix(configure: impl Fn(&mut ServiceConfig) + Clone + Send + 'static) -> Self {
        let listener = StdListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let app = move || actix_web::App::new().configure(configure.clone());
            let server = actix_web::HttpServer::new(app).workers(1).disable_signals();
            actix_web::rt::System::new().block_on(server.listen(listener).unwrap().run()).unwrap();
        });
        Self::at(address)
    }

    pub(crate) async fn poem<E: IntoEndpoint>(endpoint: E) -> Self
    where
        E::Endpoint: 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = TcpAcceptor::from_tokio(listener).unwrap();
        let endpoint = endpoint.into_endpoint();
        tokio::spawn(async { poem::Server::new_with_acceptor(acceptor).run(endpoint).await.unwrap() });
        Self::at(address)
    }

    fn at(address: SocketAddr) -> Self {
        // The server is on this machine, where a proxy from the environment could not reach it.
        Self { client: Client::builder().no_proxy().build().unwrap(), address }
    }

    pub(crate) fn request(&self, path: &str, headers: &[(&str, String)], body: &str) -> RequestBuilder {
        let request = self.client.post(format!("http://{}{path}", self.address));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
        request.body(body.to_owned())
    }

    pub(crate) async fn post(&self, path: &str, headers: &[(&str, String)], body: &str) -> Reply {
        Reply::of(self.request(path, headers, body).send().await.unwrap()).await
    }
}

impl Reply {
    pub(crate) async fn of(response: Response) -> Self {
        let header = |name| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let retry_after = header("retry-after");
        Self { status: response.status().as_u16(), retry_after, text: response.text().await.unwrap() }
    }
}

pub(crate) fn github_headers(github: &GithubWebhook, id: &str, body: &str) -> [(&'static str, String); 3] {
    [
        ("X-Hub-Signature-256", github.sign(body.as_bytes()).unwrap()),
        ("X-GitHub-Delivery", id.to_owned()),
        ("X-GitHub-Event", "issues".to_owned()),
    ]
}

/// An answer with all its headers.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) async fn of(response: Response) -> Self {
        let headers = response.headers().iter();
        let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
        let headers = headers.collect();
        Self { status: response.status().as_u16(), headers, text: response.text().await.unwrap() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}
