//! `PgBouncer` in front of a PostgreSQL.

use std::fs;

use sqlx::{Connection, PgConnection};

use super::process::{Server, program};
use super::{Postgres, until};

/// A `PgBouncer` in transaction mode.
#[derive(Debug)]
pub struct PgBouncer {
    server: Server,
}

impl PgBouncer {
    /// Starts one with this many sessions of the server.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    pub async fn start(postgres: &Postgres, sessions: u32) -> Self {
        let mut server = Server::new(program("pgbouncer", "pgbouncer"), Some("postgres"));
        let (port, to, folder) =
            (server.port(), postgres.server().port(), server.folder().display().to_string());
        let settings = format!(
            "[databases]\n* = user=postgres host=127.0.0.1 port={to}\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir = {folder}\n\
             auth_type = any\npool_mode = transaction\ndefault_pool_size = {sessions}\nmax_client_conn = 200\n\
             server_lifetime = 3600\n"
        );
        let file = server.folder().join("pgbouncer.ini");
        fs::write(&file, settings).unwrap();
        server.start([file]);
        let pooler = Self { server };
        let url = &pooler.url("postgres");
        until("PgBouncer is up", || async move {
            let mut options: sqlx::postgres::PgConnectOptions = url.parse().unwrap();
            options = options.extra_float_digits(None);
            PgConnection::connect_with(&options).await.is_ok()
        })
        .await;
        pooler
    }

    /// The URL of a database of the server behind it.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.server.port())
    }
}
