//! What handlers do, recorded where the log cannot hide it.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use ferro_idem::Claim;
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
    pub(crate) token: u64,
    /// Until when the handler surely had the event, as it knew when it was about to do it. 0: it had not.
    pub(crate) held_until: u64,
    /// When the handler was about to do it. `None` in a table: what counts there is the commit.
    pub(crate) at: Option<u64>,
}

/// Nanoseconds on the clock that all processes of the machine share.
pub(crate) fn now() -> u64 {
    let now = ClockId::CLOCK_MONOTONIC.now().expect("there is a clock");
    u64::try_from(now.tv_sec() * 1_000_000_000 + now.tv_nsec()).unwrap_or_default()
}

/// Bytes of a line in the file: lines of this length never cross a page, so that a `write` whose process is
/// killed writes all of it or nothing.
const LINE: usize = 128;

/// An append-only file that all workers write, one line with one `write` for each effect: what was written
/// stays, whoever is killed.
#[derive(Debug)]
pub(crate) struct EffectsFile(File);

impl EffectsFile {
    pub(crate) fn open(path: &Path) -> Self {
        Self(File::options().create(true).append(true).open(path).expect("the file of effects can be opened"))
    }

    pub(crate) fn append(&self, event: &str, claim: Option<&Claim>) {
        // The moment before the lease is looked at: what a stop in between adds is not held.
        let at = now();
        let held_until = claim.map_or(0, |claim| held_until(at, claim.lease_remaining()));
        let token = claim.map_or(0, Claim::fencing_token);
        let line = format!("{event} {token} {held_until} {at} {}", std::process::id());
        let line = format!("{line:<0$}\n", LINE - 1);
        assert_eq!(line.len(), LINE, "there is room for it");
        let written = (&self.0).write(line.as_bytes()).expect("the file of effects can be written");
        assert_eq!(written, line.len(), "a line is written at once");
    }
}

fn held_until(at: u64, remaining: Duration) -> u64 {
    if remaining.is_zero() { 0 } else { at + u64::try_from(remaining.as_nanos()).unwrap_or_default() }
}

/// The lines of the file, in their order.
pub(crate) fn read_file(path: &Path) -> Vec<Effect> {
    let text = std::fs::read_to_string(path).expect("the file of effects can be read");
    text.lines().map(|line| effect(line).unwrap_or_else(|| panic!("not an effect: `{line}`"))).collect()
}

fn effect(line: &str) -> Option<Effect> {
    let mut words = line.split(' ');
    let event = words.next()?.to_owned();
    let mut number = || words.next()?.parse().ok();
    let (token, held_until, at) = (number()?, number()?, number()?);
    Some(Effect { event, token, held_until, at: Some(at) })
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
