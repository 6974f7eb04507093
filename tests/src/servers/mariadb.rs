//! MariaDB.

use std::ffi::OsString;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{AssertSqlSafe, Connection, MySqlConnection};
use tokio::sync::OnceCell;

use super::galera::FIRST_NODE;
use super::network::Place;
use super::process::{Server, program};
use super::until;

const CREATE_ROOT: &str =
    "FLUSH PRIVILEGES;\nCREATE USER root@'%';\nGRANT ALL ON *.* TO root@'%' WITH GRANT OPTION;\n";

/// A MariaDB server.
///
/// Its log is written at each commit and not synced: the kernel keeps what was written before a SIGKILL, and no test
/// cuts the power.
#[derive(Debug)]
pub struct MariaDb {
    server: Server,
    databases: AtomicU32,
}

impl MariaDb {
    /// Starts one.
    pub async fn start() -> Self {
        Self::start_with(&["--innodb-flush-log-at-trx-commit=2"]).await
    }

    /// Starts one with these options in addition to the usual ones.
    pub async fn start_with(options: &[&str]) -> Self {
        Self::start_at(Place::HERE, options).await
    }

    /// The same at another place.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    pub async fn start_at(place: Place, options: &[&str]) -> Self {
        let mut server = Server::at(place, program("mariadbd", "mariadb-server"), Some("mysql"));
        let data = option("--datadir=", server.folder().join("data"));
        // A server that starts deletes the temporary tables of all others in the same folder.
        let temporary = option("--tmpdir=", server.folder());
        let install = ["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"];
        // The clients of a server at another place come from there.
        let users = server.folder().join("users.sql");
        std::fs::write(&users, CREATE_ROOT).unwrap();
        server.run(
            &program("mariadb-install-db", "mariadb-server"),
            install.map(OsString::from).into_iter().chain([
                "--skip-name-resolve".into(),
                data.clone(),
                temporary.clone(),
                option("--extra-file=", users),
            ]),
        );
        let mut arguments: Vec<OsString> =
            vec!["--no-defaults".into(), "--skip-name-resolve".into(), data, temporary];
        arguments.push(option("--socket=", server.folder().join("socket")));
        arguments.push(option("--pid-file=", server.folder().join("pid")));
        arguments.push(format!("--port={}", server.port()).into());
        arguments.push(format!("--bind-address={}", server.address().ip()).into());
        arguments.extend(["--max-connections=600"].iter().chain(options).map(Into::into));
        server.start(arguments);
        server.forget(FIRST_NODE);
        let server = Self { server, databases: AtomicU32::new(0) };
        server.is_up().await;
        server
    }

    /// The one that all tests of this process share.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<MariaDb> = OnceCell::const_new();
        SHARED.get_or_init(Self::start).await
    }

    /// The URL of a new, empty database.
    ///
    /// # Panics
    ///
    /// If it cannot be created.
    pub async fn fresh_database(&self) -> String {
        let name = format!("fresh_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let created = async {
            let mut connection = MySqlConnection::connect(&self.url()).await?;
            sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut connection).await
        };
        created.await.unwrap_or_else(|e| panic!("no new database: {e}\n{}", self.server.last_words()));
        format!("mysql://root@{}/{name}", self.server.address())
    }

    /// The URL of its administrative database.
    pub fn url(&self) -> String {
        format!("mysql://root@{}/mysql", self.server.address())
    }

    /// Its process.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Restarts it after [`Server::kill`], and waits until it has recovered.
    pub async fn start_again(&self) {
        self.server.spawn();
        self.is_up().await;
    }

    /// Restarts a node of a Galera cluster after [`Server::kill`], from where it was: without this position, it would
    /// copy all data from another node, which takes no writes meanwhile.
    pub(super) async fn rejoin(&self) {
        let file = self.server.folder().join("stderr.log");
        let log = || std::fs::read_to_string(&file).unwrap();
        let before = log().len();
        let recovered =
            |log: &str| Some(log.get(before..)?.rsplit_once("Recovered position: ")?.1.to_owned());
        self.server.spawn_with(&["--wsrep-recover".into()]);
        // It would end by itself, but was seen to spin for minutes after its last word.
        until("the position is recovered", || async {
            recovered(&log()).is_some_and(|said| said.contains('\n'))
        })
        .await;
        self.server.kill();
        let position = recovered(&log()).unwrap_or_default();
        let position = position.split_whitespace().next().unwrap_or_default();
        self.server.spawn_with(&[format!("--wsrep-start-position={position}").into()]);
        self.is_up().await;
    }

    pub(super) async fn is_up(&self) {
        let url = &self.url();
        until("MariaDB is up", || async move {
            self.server.keep_up();
            MySqlConnection::connect(url).await.is_ok()
        })
        .await;
    }
}

fn option(name: &str, value: impl Into<OsString>) -> OsString {
    let mut option = OsString::from(name);
    option.push(value.into());
    option
}
