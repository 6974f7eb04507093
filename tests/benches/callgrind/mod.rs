//! Counts the instructions of calls. The program runs itself under callgrind with `--run HANDLER CALLS`.

use std::env;
use std::error::Error;
use std::io::ErrorKind;
use std::process::{Command, Output};

/// If valgrind is missing, the message says what to install.
pub(crate) fn is_installed() -> Result<bool, Box<dyn Error>> {
    match Command::new("valgrind").arg("--version").output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            println!("not measured: valgrind is not installed (`apt-get install valgrind`)");
            Ok(false)
        }
        found => Ok(found?.status.success()),
    }
}

/// A run of `few` calls is taken from one of `many`, so that only calls are left.
pub(crate) fn per_call(handler: &str, few: u32, many: u32) -> Result<f64, Box<dyn Error>> {
    let executed = instructions(handler, many)?.saturating_sub(instructions(handler, few)?);
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    Ok(executed as f64 / f64::from(many - few))
}

fn instructions(handler: &str, calls: u32) -> Result<u64, Box<dyn Error>> {
    let profile = tempfile::NamedTempFile::new()?;
    let Output { status, stderr, .. } = Command::new("valgrind")
        .arg("--tool=callgrind")
        .arg(format!("--callgrind-out-file={}", profile.path().display()))
        .arg(env::current_exe()?)
        .args(["--run", handler, &calls.to_string()])
        .output()?;
    let said = String::from_utf8_lossy(&stderr);
    let collected = said.lines().find_map(|line| line.split_once("Collected :"));
    match collected {
        Some((_, count)) if status.success() => Ok(count.trim().parse()?),
        _ => Err(format!("valgrind failed:\n{said}").into()),
    }
}
