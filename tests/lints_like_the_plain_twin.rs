//! Row 24: under all lints of clippy, a fenced handler raises only those that the same handler without the
//! fence raises.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// How often each lint is raised in each file of `tests/lints`.
fn lints_by_file(features: &[&str]) -> BTreeMap<String, BTreeMap<String, usize>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("lints");
    let output = Command::new(env!("CARGO"))
        .args(["clippy", "--quiet", "--message-format=json", "--manifest-path"])
        .arg(folder.join("Cargo.toml"))
        .args(features)
        .args(["--", "-Wclippy::all", "-Wclippy::pedantic", "-Wclippy::nursery", "-Wclippy::restriction"])
        .args(["-Wunused", "-Wmissing-docs", "-Wrust-2018-idioms", "-Wlet-underscore"])
        .env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("lints"))
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "clippy ran (`rustup component add clippy`): {stderr}");
    let mut files: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let report: serde_json::Value = serde_json::from_str(line).unwrap();
        let message = &report["message"];
        if let (Some(lint), Some(file)) =
            (message["code"]["code"].as_str(), message["spans"][0]["file_name"].as_str())
            && file.contains("lints")
        {
            let file = Path::new(file).file_name().unwrap().to_string_lossy().into_owned();
            *files.entry(file).or_default().entry(lint.to_owned()).or_default() += 1;
        }
    }
    files
}

#[test]
fn row_24_the_attribute_adds_no_lint() {
    assert_no_lint_is_added(&[]);
    assert_no_lint_is_added(&["--features", "tracing"]);
}

fn assert_no_lint_is_added(features: &[&str]) {
    let files = lints_by_file(features);
    let [mut plain, mut fenced] =
        ["plain.rs", "fenced.rs"].map(|file| files.get(file).cloned().unwrap_or_default());
    assert!(plain.len() > 3, "clippy looked: {files:?}");
    // The expansion ends in a `return`, so that some of the handlers' own cases are not raised.
    let [of_plain, of_fenced] =
        [&mut plain, &mut fenced].map(|lints| lints.remove("clippy::implicit_return").unwrap_or_default());
    assert!(of_fenced <= of_plain, "implicit_return: {of_fenced} beyond {of_plain}");
    assert_eq!(fenced, plain, "{features:?}");
}
