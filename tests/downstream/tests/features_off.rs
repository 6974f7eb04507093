//! What the compiler says if a feature of ferro-idem is missing: it names the feature.

use std::fs;
use std::path::Path;
use std::process::Command;

const MANIFEST: &str = r#"
[package]
name = "features-off"
edition = "2024"

[dependencies]
ferro-idem = { path = "FERRO_IDEM" }
http = "1"
serde_json = "1"

[workspace]
"#;

/// `http::StatusCode` is also axum's, and needs `axum`; an event of `serde_json::Value` needs `json`.
const HANDLERS: &str = r"
use ferro_idem::{Error, MemoryProcessedLog, Outcome, idempotent_webhook};
use http::StatusCode;

#[idempotent_webhook(on_error = |_| StatusCode::SERVICE_UNAVAILABLE)]
pub async fn no_reply_to_a_duplicate(log: &MemoryProcessedLog, event: &str) -> StatusCode {
    StatusCode::OK
}

#[idempotent_webhook(on_duplicate = StatusCode::OK)]
pub async fn no_reply_to_an_error(log: &MemoryProcessedLog, event: &str) -> StatusCode {
    StatusCode::OK
}

#[idempotent_webhook(
    claim,
    on_duplicate = StatusCode::OK,
    on_error = |_| StatusCode::SERVICE_UNAVAILABLE,
)]
pub async fn no_judgement(log: &MemoryProcessedLog, event: &str) -> StatusCode {
    StatusCode::OK
}

#[idempotent_webhook]
pub async fn no_id(log: &MemoryProcessedLog, event: serde_json::Value) -> Result<Outcome<()>, Error> {
    Ok(Outcome::Processed(()))
}
";

/// The message of each error, with its notes.
fn errors() -> Vec<String> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let library = repository.join("ferro-idem").to_str().unwrap().replace('\\', "/");
    fs::write(folder.path().join("Cargo.toml"), MANIFEST.replace("FERRO_IDEM", &library)).unwrap();
    fs::copy(repository.join("Cargo.lock"), folder.path().join("Cargo.lock")).unwrap();
    fs::create_dir(folder.path().join("src")).unwrap();
    fs::write(folder.path().join("src/lib.rs"), HANDLERS).unwrap();
    let checked = Command::new(env!("CARGO"))
        .args(["check", "--offline", "--quiet", "--color=never"])
        .current_dir(folder.path())
        .env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("features-off"))
        .output()
        .unwrap();
    assert!(!checked.status.success());
    let told = String::from_utf8(checked.stderr).unwrap();
    told.split("\n\n").filter(|error| error.starts_with("error[")).map(str::to_owned).collect()
}

#[test]
fn a_missing_feature_is_named() {
    let errors = errors();
    let told = |about: &str| {
        let of_it: Vec<_> = errors.iter().filter(|error| error.contains(about)).collect();
        let [error] = of_it[..] else { panic!("{about}: {errors:#?}") };
        error
    };
    for about in [
        "`StatusCode` has no reply to a duplicate delivery",
        "`StatusCode` cannot report that the fence failed",
        "`StatusCode` does not say whether the event is processed",
    ] {
        let error = told(about);
        assert!(error.contains("axum, actix-web or poem, turn on the feature of ferro-idem"), "{error}");
        assert!(!error.contains("axum's `StatusCode`"), "it recommends the type that is used: {error}");
    }
    let error = told("`Value` does not say what its event id is");
    assert!(error.contains("`serde_json::Value`"), "{error}");
    assert!(error.contains("turn on the features `json`"), "{error}");
    assert_eq!(errors.len(), 4, "{errors:#?}");
}
