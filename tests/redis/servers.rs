//! Throw-away servers, each in a folder and on a port of its own.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use redis::aio::ConnectionManager;
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(20);

/// A server that keeps what it acknowledged, and is killed when it is dropped.
pub(crate) struct Server {
    pub(crate) port: u16,
    options: Vec<String>,
    folder: TempDir,
    process: Child,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub(crate) async fn start_with(options: &[&str]) -> Self {
        let (folder, port) = (TempDir::new().unwrap(), free_port());
        let options: Vec<_> = options.iter().map(ToString::to_string).collect();
        let process = spawn(port, &folder, &options);
        let server = Self { port, options, folder, process };
        server.is_up().await;
        server
    }

    /// As after a crash of the server.
    pub(crate) async fn kill_and_restart(&mut self) {
        self.kill();
        self.process = spawn(self.port, &self.folder, &self.options);
        self.is_up().await;
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// It keeps its connections and answers nothing any more.
    pub(crate) fn stand_still(&self) {
        let process = Pid::from_raw(self.process.id().try_into().unwrap());
        signal::kill(process, Signal::SIGSTOP).unwrap();
    }

    pub(crate) async fn connection(&self) -> ConnectionManager {
        connect_to(&format!("redis://127.0.0.1:{}", self.port)).await
    }

    /// Asks as the administrator.
    pub(crate) async fn tell<T: redis::FromRedisValue>(&self, command: &str) -> T {
        let mut words = command.split(' ');
        let mut command = redis::cmd(words.next().unwrap());
        words.for_each(|word| {
            command.arg(word);
        });
        command.query_async(&mut self.connection().await).await.unwrap()
    }

    async fn is_up(&self) {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.port)).unwrap();
        let up = async || {
            let mut connection = client.get_multiplexed_async_connection().await?;
            redis::cmd("PING").query_async::<String>(&mut connection).await
        };
        until("the server is up", async || match up().await {
            Ok(_) => true,
            // A password is wanted: it is up.
            Err(error) => error.code() == Some("NOAUTH"),
        })
        .await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

pub(crate) async fn connect_to(url: &str) -> ConnectionManager {
    redis::Client::open(url).unwrap().get_connection_manager().await.unwrap()
}

/// Three masters.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Server>,
}

impl Cluster {
    pub(crate) async fn start_with(options: &[&str]) -> Self {
        let mut nodes = Vec::new();
        for _ in 0..3 {
            let bus = free_port().to_string();
            let mut all = vec!["--cluster-enabled", "yes", "--cluster-port", &bus];
            all.extend(options);
            nodes.push(Server::start_with(&all).await);
        }
        let created = Command::new("redis-cli")
            .args(["--cluster", "create"])
            .args(nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)))
            .args(["--cluster-replicas", "0", "--cluster-yes"])
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(created.success());
        for node in &nodes {
            until("the cluster is ok", async || {
                let info: String = node.tell("CLUSTER INFO").await;
                info.contains("cluster_state:ok") && info.contains("cluster_size:3")
            })
            .await;
        }
        Self { nodes }
    }

    /// Which of the nodes has the key: redis-cli gives each a third of the slots, in order.
    pub(crate) async fn owner_of(&self, key: &str) -> usize {
        let slot: usize = self.nodes[0].tell(&format!("CLUSTER KEYSLOT {key}")).await;
        (slot * 3 / 16384).min(2)
    }

    pub(crate) async fn connection(&self) -> ClusterConnection {
        let urls = self.nodes.iter().map(|node| format!("redis://127.0.0.1:{}", node.port));
        ClusterClient::new(urls).unwrap().get_async_connection().await.unwrap()
    }
}

/// Waits for what has to come about.
pub(crate) async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let start = Instant::now();
    while !is_so().await {
        assert!(start.elapsed() < PATIENCE, "in {PATIENCE:?}, never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn spawn(port: u16, folder: &TempDir, options: &[String]) -> Child {
    Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"])
        .args(["--appendfsync", "always", "--dir"])
        .arg(folder.path())
        .args(options)
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server is installed")
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
