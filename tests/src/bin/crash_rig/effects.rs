//! The effects of handlers, recorded where the log cannot hide them.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use ferro_idem::Claim;
use nix::time::ClockId;
use sqlx::{MySqlConnection, PgConnection, SqliteConnection};
use tokio::time::timeout;

/// A table beside the log's, without a unique key: an effect that happens twice has two rows.
pub(crate) const CREATE_TABLE: &str = "CREATE TABLE effects (event_id VARCHAR(255) NOT NULL)";

/// Selects all rows of the table.
pub(crate) const EVENTS_IN_TABLE: &str = "SELECT event_id FROM effects";

/// One effect of a handler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Effect {
    pub(crate) event: String,
    /// 0 if the guarantee has none.
    pub(crate) token: u64,
    /// Until when the handler surely held the event, as known before the effect. 0: it did not hold it.
    pub(crate) held_until: u64,
    /// The time before the effect. `None` in a table, where only the commit counts.
    pub(crate) at: Option<u64>,
}

/// The time in nanoseconds, on the clock that all processes of the machine share.
pub(crate) fn now() -> u64 {
    let now = ClockId::CLOCK_MONOTONIC.now().expect("there is a clock");
    u64::try_from(now.tv_sec() * 1_000_000_000 + now.tv_nsec()).unwrap_or_default()
}

/// The length of a line in bytes. Lines of this length never cross a page, so a `write` whose process is killed writes
/// the whole line or nothing.
const LINE: usize = 128;

/// An append-only file that all workers write, with one `write` of one line for each effect. Lines stay when a worker
/// is killed.
#[derive(Debug)]
pub(crate) struct EffectsFile(File);

impl EffectsFile {
    pub(crate) fn open(path: &Path) -> Self {
        Self(File::options().create(true).append(true).open(path).expect("the file of effects can be opened"))
    }

    pub(crate) fn append(&self, event: &str, claim: Option<&Claim>) {
        // Read before the lease, so that a stop in between does not make the lease look longer.
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

/// Reads the lines of the file, in order.
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

/// How long a handler waits for its own statement. sqlx has no limit, and the operating system gives a server up that has
/// left the network after a quarter of an hour.
const EFFECT_WITHIN: Duration = Duration::from_secs(2);

/// A connection on which a handler writes its effect in a transaction.
pub(crate) trait WriteEffect: Send {
    fn write_effect(&mut self, event: &str) -> impl Future<Output = Result<(), sqlx::Error>> + Send;
}

macro_rules! write_effect {
    ($($connection:ty => $insert:literal),*) => {$(
        impl WriteEffect for $connection {
            async fn write_effect(&mut self, event: &str) -> Result<(), sqlx::Error> {
                let inserted = timeout(EFFECT_WITHIN, sqlx::query($insert).bind(event).execute(self)).await;
                inserted.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into())).map(drop)
            }
        }
    )*};
}

write_effect!(
    SqliteConnection => "INSERT INTO effects VALUES (?)",
    PgConnection => "INSERT INTO effects VALUES ($1)",
    MySqlConnection => "INSERT INTO effects VALUES (?)"
);
