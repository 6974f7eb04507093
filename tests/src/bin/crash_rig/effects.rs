//! What handlers do, recorded where the log cannot hide it.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use nix::time::ClockId;
use sqlx::{MySqlConnection, PgConnection, SqliteConnection};

/// A table beside the log's, without a unique key: an effect that happened twice has two rows.
pub(crate) const CREATE_TABLE: &str = "CREATE TABLE effects (event_id VARCHAR(255) NOT NULL)";

/// Every row of it.
pub(crate) const EVENTS_IN_TABLE: &str = "SELECT event_id FROM effects";

/// Something that a handler did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Effect {
    pub(crate) event: String,
    /// 0 where the guarantee has none.
    pub(crate) fence: u64,
    /// When the handler was about to do it. `None` in a table: what counts there is the commit.
    pub(crate) at: Option<u64>,
}

/// Nanoseconds on the clock that all processes of the machine share.
pub(crate) fn now() -> u64 {
    let now = ClockId::CLOCK_MONOTONIC.now().expect("there is a clock");
    u64::try_from(now.tv_sec() * 1_000_000_000 + now.tv_nsec()).unwrap_or_default()
}

/// An append-only file that all workers write, one line with one `write` for each effect: what was written
/// stays, whoever is killed.
#[derive(Debug)]
pub(crate) struct EffectsFile(File);

impl EffectsFile {
    pub(crate) fn open(path: &Path) -> Self {
        Self(File::options().create(true).append(true).open(path).expect("the file of effects can be opened"))
    }

    pub(crate) fn append(&self, event: &str, fence: u64) {
        let line = format!("{event} {fence} {} {}\n", std::process::id(), now());
        let written = (&self.0).write(line.as_bytes()).expect("the file of effects can be written");
        assert_eq!(written, line.len(), "a line is written at once");
    }
}

/// The lines of the file, in their order.
pub(crate) fn read_file(path: &Path) -> Vec<Effect> {
    let text = std::fs::read_to_string(path).expect("the file of effects can be read");
    text.lines().map(|line| effect(line).unwrap_or_else(|| panic!("not an effect: `{line}`"))).collect()
}

fn effect(line: &str) -> Option<Effect> {
    let mut words = line.split(' ');
    let (event, fence, _worker, at) = (words.next()?, words.next()?, words.next()?, words.next()?);
    Some(Effect { event: event.to_owned(), fence: fence.parse().ok()?, at: Some(at.parse().ok()?) })
}

/// A connection that a handler has its transaction on.
pub(crate) trait WriteEffect: Send {
    fn write_effect(&mut self, event: &str) -> impl Future<Output = Result<(), sqlx::Error>> + Send;
}

macro_rules! write_effect {
    ($($connection:ty => $insert:literal),*) => {$(
        impl WriteEffect for $connection {
            async fn write_effect(&mut self, event: &str) -> Result<(), sqlx::Error> {
                sqlx::query($insert).bind(event).execute(self).await.map(drop)
            }
        }
    )*};
}

write_effect!(
    SqliteConnection => "INSERT INTO effects VALUES (?)",
    PgConnection => "INSERT INTO effects VALUES ($1)",
    MySqlConnection => "INSERT INTO effects VALUES (?)"
);
