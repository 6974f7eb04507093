//! The command over TLS, to servers whose certificate a private authority has signed.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ferro_idem::{MySqlLog, PostgresLog};
use ferro_idem_tests::servers::{Folder, MariaDb, Postgres, Redis};
use nix::unistd::User;
use sqlx::{Connection, Executor, MySqlPool, PgConnection, PgPool};

/// An authority, and a server's certificate for 127.0.0.1.
struct Certificates(Folder);

impl Certificates {
    /// The key belongs to this user, or to the one that the tests run as.
    fn new(user: Option<&str>) -> Self {
        let folder = Folder::new();
        let openssl = |arguments: &str| {
            let mut command = Command::new("openssl");
            command.args(arguments.split_whitespace()).current_dir(folder.path());
            let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
            assert!(status.success(), "openssl {arguments}");
        };
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
        openssl(&format!("req -x509 {key} -keyout ca.key -out ca.pem -subj /CN=authority -days 2"));
        openssl(&format!(
            "req {key} -keyout server.key -out server.csr -subj /CN=server -addext subjectAltName=IP:127.0.0.1"
        ));
        openssl(
            "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -days 2 \
             -copy_extensions copy",
        );
        let certificates = Self(folder);
        let server_key = certificates.path("server.key");
        std::fs::set_permissions(&server_key, Permissions::from_mode(0o600)).unwrap();
        if let Some(user) = user.and_then(|user| User::from_name(user).unwrap()) {
            std::fs::set_permissions(certificates.0.path(), Permissions::from_mode(0o755)).unwrap();
            // Without the right to give files away, the server runs as the user of the tests.
            drop(chown(&server_key, Some(user.uid.as_raw()), Some(user.gid.as_raw())));
        }
        certificates
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }
}

/// Runs `ferro-idem check`, and returns its exit code and what it says. `roots`: the authorities that the system trusts.
fn check(url: &str, roots: Option<&Path>) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_operator"));
    command.arg("check").env("FERRO_IDEM_URL", url).stdin(Stdio::null());
    if let Some(roots) = roots {
        command.env("SSL_CERT_FILE", roots);
    }
    let output = command.output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn postgres_is_reached_over_tls() {
    let certificates = Certificates::new(None);
    let server = Postgres::start().await;
    let data = server.server().folder().join("data");
    for name in ["server.pem", "server.key"] {
        std::fs::copy(certificates.path(name), data.join(name)).unwrap();
        let owner = std::fs::metadata(&data).unwrap();
        chown(data.join(name), Some(owner.uid()), Some(owner.gid())).unwrap();
    }
    let url = server.fresh_database().await;
    assert_eq!(check(&format!("{url}?sslmode=require"), None).0, 1, "there is no TLS yet");
    let plain = format!("{url}?sslmode=disable");
    PostgresLog::new(PgPool::connect(&plain).await.unwrap()).create_table().await.unwrap();
    // One connection and not a pool, which may open another one after the server has begun to refuse those without TLS.
    let mut connection = PgConnection::connect(&plain).await.unwrap();
    for setting in ["ssl_cert_file = 'server.pem'", "ssl_key_file = 'server.key'", "ssl = on"] {
        connection.execute(sqlx::AssertSqlSafe(format!("ALTER SYSTEM SET {setting}"))).await.unwrap();
    }
    // Only over TLS from now on.
    std::fs::write(data.join("pg_hba.conf"), "hostssl all all 127.0.0.1/32 trust\n").unwrap();
    connection.execute("SELECT pg_reload_conf()").await.unwrap();

    let ca = certificates.text("ca.pem");
    let verified = format!("{url}?sslmode=verify-full&sslrootcert={ca}");
    ferro_idem_tests::servers::until("PostgreSQL has TLS", async || check(&verified, None).0 == 0).await;
    assert_eq!(check(&format!("{url}?sslmode=require"), None), check(&verified, None));
    assert_eq!(check(&format!("{url}?sslmode=verify-full"), Some(Path::new(&ca))).0, 0);
    let (code, said) = check(&format!("{url}?sslmode=verify-full"), None);
    assert!(code == 1 && said.contains("certificate"), "{said}");
    assert_eq!(check(&format!("{url}?sslmode=disable"), None).0, 1);
}

#[tokio::test]
#[ignore = "needs MariaDB: run tests/run"]
async fn mariadb_is_reached_over_tls() {
    let certificates = Certificates::new(Some("mysql"));
    let option = |name: &str, file: &str| format!("--ssl-{name}={}", certificates.text(file));
    let options = [option("cert", "server.pem"), option("key", "server.key"), option("ca", "ca.pem")];
    let server = MariaDb::start_with(&options.each_ref().map(String::as_str)).await;
    let url = server.fresh_database().await;
    let pool = MySqlPool::connect(&url).await.unwrap();
    MySqlLog::new(pool.clone()).create_table().await.unwrap();
    pool.execute("SET GLOBAL require_secure_transport = ON").await.unwrap();

    let ca = certificates.text("ca.pem");
    for (mode, code) in [
        (format!("ssl-mode=VERIFY_IDENTITY&ssl-ca={ca}"), 0),
        ("ssl-mode=REQUIRED".to_owned(), 0),
        ("ssl-mode=VERIFY_IDENTITY".to_owned(), 1),
        ("ssl-mode=DISABLED".to_owned(), 1),
    ] {
        let checked = check(&format!("{url}?{mode}"), None);
        assert_eq!(checked.0, code, "{mode}: {}", checked.1);
    }
}

#[tokio::test]
#[ignore = "needs Redis: run tests/run"]
async fn redis_is_reached_over_tls() {
    let certificates = Certificates::new(None);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (cert, key) = (certificates.text("server.pem"), certificates.text("server.key"));
    let ca = certificates.text("ca.pem");
    let options = ["--tls-port", &port.to_string(), "--tls-cert-file", &cert, "--tls-key-file", &key];
    let options = [&options[..], &["--tls-ca-cert-file", &ca, "--tls-auth-clients", "no"]].concat();
    let _server = Redis::start_with(&options).await;
    let checked = check(&format!("rediss://127.0.0.1:{port}"), Some(Path::new(&ca)));
    assert_eq!(checked.0, 0, "{}", checked.1);
    let (code, said) = check(&format!("rediss://127.0.0.1:{port}"), None);
    assert!(code == 1 && said.contains("certificate"), "{said}");
}
