//! The time that the attribute adds to `cargo check`: 500 handlers plain, under each guarantee, fenced by
//! hand, and under `#[tracing::instrument]`.
//!
//! There is one crate per variant, with the same dependencies, in one temporary workspace. They are checked
//! in turns, without incremental compilation.

mod report;

use std::error::Error as StdError;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Instant, SystemTime};
use std::{env, iter};

use report::{goal, median};

const HANDLERS: u32 = 500;
const ROUNDS: usize = 9;

struct Variant {
    package: &'static str,
    attribute: &'static str,
    log: &'static str,
    fence: &'static str,
}

const PLAIN: Variant = Variant { package: "plain", attribute: "", log: "impl ProcessedEventLog", fence: "" };

const VARIANTS: [Variant; 6] = [
    PLAIN,
    Variant { package: "fence", attribute: "#[ferro_idem::idempotent_webhook]", ..PLAIN },
    Variant {
        package: "claim",
        attribute: "#[ferro_idem::idempotent_webhook(claim)]",
        log: "impl ferro_idem::ClaimLog",
        ..PLAIN
    },
    Variant {
        package: "transaction",
        attribute: "#[ferro_idem::idempotent_webhook(transaction(tx))]",
        log: "ferro_idem::SqliteLog",
        ..PLAIN
    },
    Variant {
        package: "by-hand",
        fence: "
    let marked = match ferro_idem::EventRef::of(&event) {
        Ok(event) => log.try_mark_event(event).await,
        Err(reason) => Err(reason.into()),
    };
    match marked {
        Ok(true) => {}
        Ok(false) => return Ok(()),
        Err(error) => return Err(error.into()),
    }",
        ..PLAIN
    },
    // The least that it can do: recording the parameters as well would cost more.
    Variant { package: "instrument", attribute: "#[tracing::instrument(skip_all)]", ..PLAIN },
];

/// The code before the handlers, the same in all variants. Plain handlers do not use their log, and printing
/// 500 warnings would take time.
const APPLICATION: &str = r"
#![allow(unused_variables)]

use ferro_idem::{ProcessedEventLog, WebhookEvent};

pub struct Invoice {
    pub id: String,
    pub account: Option<String>,
    pub lines: Vec<Line>,
}

pub struct Line {
    pub cents: u64,
    pub quantity: u64,
}

impl WebhookEvent for Invoice {
    fn event_id(&self) -> &str {
        &self.id
    }
}

pub enum AppError {
    Fence(ferro_idem::Error),
    NoAccount,
    TooMuch,
}

impl From<ferro_idem::Error> for AppError {
    fn from(error: ferro_idem::Error) -> Self {
        Self::Fence(error)
    }
}

pub struct Db;

impl Db {
    pub async fn credit(&self, account: &str, cents: u64) -> Result<u64, AppError> {
        if account.is_empty() { Err(AppError::NoAccount) } else { Ok(cents) }
    }

    pub async fn mail(&self, letter: String) -> Result<(), AppError> {
        drop(letter);
        Ok(())
    }
}
";

const BODY: &str = r#"
    let account = event.account.as_deref().ok_or(AppError::NoAccount)?;
    let mut total = 0_u64;
    for line in &event.lines {
        let cents = line.cents.checked_mul(line.quantity).ok_or(AppError::TooMuch)?;
        total = total.checked_add(cents).ok_or(AppError::TooMuch)?;
    }
    let balance = db.credit(account, total).await?;
    let greeting = if balance > 10_000 { "Thank you very much" } else { "Thank you" };
    let letter = format!("{greeting}, {account}: {total} paid for {}", event.id);
    db.mail(letter).await?;
    Ok(())"#;

fn main() -> Result<(), Box<dyn StdError>> {
    let folder = tempfile::tempdir()?;
    write_workspace(folder.path())?;
    // Builds the dependencies first, because they are not measured.
    for variant in &VARIANTS {
        seconds_to_check(folder.path(), variant.package)?;
    }

    println!("seconds of `cargo check` for {HANDLERS} handlers\n");
    print!("round ");
    for variant in &VARIANTS {
        print!(" {:>11}", variant.package);
    }
    println!();
    let mut seconds: [Vec<f64>; VARIANTS.len()] = Default::default();
    for round in 1..=ROUNDS {
        for (variant, seconds) in iter::zip(&VARIANTS, &mut seconds) {
            seconds.push(seconds_to_check(folder.path(), variant.package)?);
        }
        print_row(&round.to_string(), seconds.each_ref().map(|seconds| seconds[round - 1]));
    }
    let medians = seconds.map(median);
    print_row("median", medians);

    let plain = medians[0];
    let of_each = medians.map(|seconds| (seconds - plain) * 1e3 / f64::from(HANDLERS));
    println!("\nmilliseconds that each handler adds to plain");
    print_row("", of_each);
    println!();
    let [_, fence, claim, transaction, _, instrument] = of_each;
    goal("a fence adds at most a third of what instrument adds", fence * 3.0 <= instrument);
    goal("a claim adds at most half of what instrument adds", claim * 2.0 <= instrument);
    goal("a transaction adds at most what instrument adds", transaction <= instrument);
    Ok(())
}

fn print_row(name: &str, columns: [f64; VARIANTS.len()]) {
    print!("{name:<6}");
    for column in columns {
        print!(" {column:>11.3}");
    }
    println!();
}

fn write_workspace(folder: &Path) -> Result<(), Box<dyn StdError>> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let repository = tests.parent().ok_or("the tests are in a workspace")?;
    let library = repository.join("ferro-idem");
    let library = library.to_str().ok_or("the repository's path is not UTF-8")?;
    let members = VARIANTS.map(|variant| variant.package);
    fs::write(
        folder.join("Cargo.toml"),
        format!(
            "[workspace]\nresolver = \"3\"\nmembers = {members:?}\n\n\
             [workspace.dependencies]\nferro-idem = {{ path = {library:?}, features = [\"sqlite\"] }}\ntracing = \"0.1\"\n"
        ),
    )?;
    // Uses the versions of this workspace's lock file.
    fs::copy(repository.join("Cargo.lock"), folder.join("Cargo.lock"))?;
    for variant in &VARIANTS {
        let package = folder.join(variant.package);
        fs::create_dir_all(package.join("src"))?;
        fs::write(
            package.join("Cargo.toml"),
            format!(
                "[package]\nname = \"{}\"\nedition = \"2024\"\n\n\
                 [dependencies]\nferro-idem.workspace = true\ntracing.workspace = true\n",
                variant.package
            ),
        )?;
        fs::write(package.join("src/lib.rs"), source(variant))?;
    }
    Ok(())
}

fn source(variant: &Variant) -> String {
    let Variant { attribute, log, fence, .. } = variant;
    let handlers = (0..HANDLERS).map(|number| {
        format!(
            "
{attribute}
pub async fn invoice_paid_{number}(
    log: &{log},
    db: &Db,
    event: Invoice,
) -> Result<(), AppError> {{{fence}{BODY}
}}
"
        )
    });
    iter::once(APPLICATION.to_owned()).chain(handlers).collect()
}

fn seconds_to_check(folder: &Path, package: &str) -> Result<f64, Box<dyn StdError>> {
    let source = File::options().write(true).open(folder.join(package).join("src/lib.rs"))?;
    source.set_modified(SystemTime::now())?;
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut check = Command::new(cargo);
    check
        .args(["check", "--offline", "--quiet", "--package", package])
        .current_dir(folder)
        .env("CARGO_INCREMENTAL", "0")
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .stdin(Stdio::null());
    let start = Instant::now();
    let checked = check.output()?;
    let elapsed = start.elapsed().as_secs_f64();
    if checked.status.success() {
        Ok(elapsed)
    } else {
        Err(format!("`{package}` does not check:\n{}", String::from_utf8_lossy(&checked.stderr)).into())
    }
}
