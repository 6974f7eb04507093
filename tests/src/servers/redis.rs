//! Redis and Valkey.

use std::ffi::OsString;

use redis::RedisError;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use tokio::sync::OnceCell;

use super::process::{Server, program};
use super::{PATIENCE, until};

/// Which server it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product {
    /// Debian's `redis-server`.
    Redis,
    /// Debian 12 has no package of it. `valkey-server` has to be in `PATH`.
    Valkey,
}

impl Product {
    pub(super) fn program(self) -> &'static str {
        match self {
            Self::Redis => "redis-server",
            Self::Valkey => "valkey-server",
        }
    }

    pub(super) fn package(self) -> &'static str {
        self.program()
    }
}

/// A Redis server that syncs every acknowledged write to disk.
#[derive(Debug)]
pub struct Redis {
    server: Server,
}

impl Redis {
    /// Starts one.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts one with these options in addition to the usual ones.
    pub async fn start_with(options: &[&str]) -> Self {
        Self::start_product(Product::Redis, options).await
    }

    /// The same of either product.
    pub async fn start_product(product: Product, options: &[&str]) -> Self {
        let mut server = Server::new(program(product.program(), product.package()), None);
        let port = server.port().to_string();
        let usual =
            ["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes", "--appendfsync"];
        let mut arguments: Vec<OsString> = usual.map(Into::into).into();
        arguments.extend(["always".into(), "--dir".into(), server.folder().into()]);
        arguments.extend(options.iter().map(Into::into));
        server.start(arguments);
        let server = Self { server };
        server.is_up().await;
        server
    }

    /// The one that all tests of this process share.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<Redis> = OnceCell::const_new();
        SHARED.get_or_init(Self::start).await
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.server.port())
    }

    /// Its process.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// A connection that connects again when it is lost.
    ///
    /// # Panics
    ///
    /// If there is no server.
    pub async fn connection(&self) -> ConnectionManager {
        redis::Client::open(self.url()).unwrap().get_connection_manager().await.unwrap()
    }

    /// Restarts it after [`Server::kill`], and waits until it has read its log.
    pub async fn start_again(&self) {
        self.server.spawn();
        self.is_up().await;
    }

    /// Sends a command as the administrator: words separated by spaces.
    ///
    /// # Panics
    ///
    /// If the server refuses it.
    pub async fn tell<T: redis::FromRedisValue>(&self, command: &str) -> T {
        let mut words = command.split(' ');
        let mut command = redis::cmd(words.next().unwrap_or_default());
        words.for_each(|word| {
            command.arg(word);
        });
        let patient = ConnectionManagerConfig::new()
            .set_response_timeout(Some(PATIENCE))
            .set_connection_timeout(Some(PATIENCE));
        let client = redis::Client::open(self.url()).unwrap();
        let mut connection = client.get_connection_manager_with_config(patient).await.unwrap();
        command.query_async(&mut connection).await.unwrap()
    }

    pub(super) async fn is_up(&self) {
        let client = &redis::Client::open(self.url()).unwrap();
        let ping = || async move {
            let mut connection = client.get_multiplexed_async_connection().await?;
            redis::cmd("PING").query_async::<String>(&mut connection).await
        };
        // A server that wants a password is up.
        let is_up = || async move {
            ping().await.map_or_else(|error: RedisError| error.code() == Some("NOAUTH"), |_| true)
        };
        until("Redis is up", is_up).await;
    }
}
