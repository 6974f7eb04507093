//! The README works as it stands: its install lines, run in an empty directory, give its samples what they need.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, SystemTime};

use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode};
use ferro_idem::stripe::{SIGNATURE_HEADER, StripeWebhook};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use sqlx::{Connection, SqliteConnection};

const README: &str = include_str!("../README.md");
/// The address that the sample listens on. The only text of a sample that the test replaces.
const ADDRESS: &str = "127.0.0.1:4242";
const SECRET: &str = "whsec_readme";

#[tokio::test]
#[ignore = "downloads and builds the dependencies of the README's project, for minutes; tests/run runs it"]
async fn the_samples_run_from_the_install_section() {
    let project = Project::install(&blocks("sh")[0]);
    let samples = blocks("rust");
    assert_eq!(samples.len(), 2, "a sample was added or removed: say here how it runs");

    println!("== the quick start");
    let quick_start = project.build(&samples[0]);
    let output = Command::new(quick_start).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    println!("{printed}");
    assert!(output.status.success());
    assert_eq!(printed, "shipping for evt_1\n", "the second delivery is a duplicate");

    println!("== the Stripe endpoint");
    assert!(samples[1].contains(ADDRESS));
    let address = free_address();
    let endpoint = project.build(&samples[1].replace(ADDRESS, &address.to_string()));
    let server = Endpoint::start(&endpoint, &project.folder, address).await;
    let paid = r#"{"id":"evt_1","object":"event","type":"invoice.paid"}"#;
    let signature = StripeWebhook::new(SECRET).sign(paid.as_bytes(), SystemTime::now()).unwrap();
    for (delivery, signature, status) in [
        ("forged", "t=1,v1=00", StatusCode::BAD_REQUEST),
        ("first", signature.as_str(), StatusCode::CREATED),
        ("duplicate", signature.as_str(), StatusCode::OK),
    ] {
        let reply = server.deliver(paid, signature).await.unwrap();
        println!("{delivery}: {reply}");
        assert_eq!(reply, status, "{delivery}");
    }
    let payments = payments(&project.folder.join("events.db")).await;
    println!("payments: {payments:?}");
    assert_eq!(payments, ["evt_1"]);
}

/// The texts of the README's code blocks in this language.
fn blocks(language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = README.lines();
    while let Some(line) = lines.next() {
        if let Some(info) = line.strip_prefix("```") {
            let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            if info.split(',').next() == Some(language) {
                blocks.push(block.join("\n"));
            }
        }
    }
    blocks
}

struct Project {
    folder: PathBuf,
    target: PathBuf,
    _temporary: tempfile::TempDir,
}

impl Project {
    /// Runs the install lines as they stand, except that `ferro-idem` comes from this checkout.
    ///
    /// Versions are those of the workspace's lock file. Cargo is asked offline first, so that a machine that
    /// has the crates needs no network.
    fn install(lines: &str) -> Self {
        println!("== install\n{lines}");
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let crate_here = format!("cargo add ferro-idem --path '{}'", checkout.join("ferro-idem").display());
        assert!(lines.contains("cargo add ferro-idem "));
        let script = lines.replace("cargo add ferro-idem", &crate_here);
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path().join("empty");
        let installed = [true, false].into_iter().any(|offline| {
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir(&folder).unwrap();
            let mut shell = Command::new("sh");
            shell
                .args(["-e", "-c", &script])
                .current_dir(&folder)
                .env("CARGO_NET_OFFLINE", offline.to_string());
            shell.status().unwrap().success() && {
                fs::copy(checkout.join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
                cargo(&folder, &["fetch"], offline).success()
            }
        });
        assert!(installed, "the install lines failed, offline and online");
        println!("{}", fs::read_to_string(folder.join("Cargo.toml")).unwrap());
        // Kept between runs, so that only the first one builds the dependencies.
        let target = checkout.join("target/readme");
        Self { folder, target, _temporary: temporary }
    }

    /// Makes the sample the project's program.
    fn build(&self, sample: &str) -> PathBuf {
        fs::write(self.folder.join("src/main.rs"), sample).unwrap();
        let target = self.target.to_str().unwrap();
        let built = cargo(&self.folder, &["build", "--quiet", "--target-dir", target], true);
        assert!(built.success(), "the sample does not compile:\n{sample}");
        // A copy: the next sample's program has the same name.
        let program = self.folder.join(format!("program-{}", sample.len()));
        fs::copy(self.target.join("debug/webhooks"), &program).unwrap();
        program
    }
}

fn cargo(folder: &Path, arguments: &[&str], offline: bool) -> ExitStatus {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(arguments).current_dir(folder).env("CARGO_NET_OFFLINE", offline.to_string());
    cargo.env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only").status().unwrap()
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// The sample's server. Dropping it ends it.
struct Endpoint {
    process: Child,
    address: SocketAddr,
    client: Client<HttpConnector, Body>,
}

impl Endpoint {
    async fn start(program: &Path, folder: &Path, address: SocketAddr) -> Self {
        let log = File::create(folder.join("endpoint.log")).unwrap();
        let process = Command::new(program)
            .current_dir(folder)
            .env("STRIPE_WEBHOOK_SECRET", SECRET)
            .stderr(log)
            .spawn()
            .unwrap();
        let client = Client::builder(TokioExecutor::new()).build_http();
        let mut endpoint = Self { process, address, client };
        while endpoint.deliver("", "").await.is_none() {
            assert!(endpoint.process.try_wait().unwrap().is_none(), "the endpoint ended by itself");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        endpoint
    }

    async fn deliver(&self, payload: &'static str, signature: &str) -> Option<StatusCode> {
        let request = Request::post(format!("http://{}/webhook", self.address))
            .header(SIGNATURE_HEADER, signature)
            .body(Body::from(Bytes::from_static(payload.as_bytes())))
            .unwrap();
        Some(self.client.request(request).await.ok()?.status())
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn payments(file: &Path) -> Vec<String> {
    let mut database = SqliteConnection::connect(&format!("sqlite://{}", file.display())).await.unwrap();
    sqlx::query_scalar("SELECT event_id FROM payments").fetch_all(&mut database).await.unwrap()
}
