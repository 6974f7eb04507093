//! Making a database file ready.

use std::path::Path;
use std::time::{Duration, Instant};

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Sqlite, SqlitePool};

use super::SqliteLog;
use crate::error::Error;
use crate::event_table::sqlite::fault::code_of;
use crate::sql::dialect::Dialect;
use crate::sql::table::TableName;

/// How long a writer waits for the lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// SQLite writes one at a time, so more connections than this only wait for each other.
const CONNECTIONS: u32 = 4;

pub(super) async fn open(path: &Path) -> Result<SqliteLog, Error> {
    let operation = || format!("open the database file `{}`", path.display());
    if let Some((source, advice)) = not_a_file(path) {
        return Err(Error::Store {
            operation: operation().into(),
            advice: advice.into(),
            source: source.into(),
        });
    }
    let fault = |error| {
        let advice = Sqlite::fault_of(&error, &TableName::recommended(Sqlite::QUOTE)).advice;
        Error::Store { operation: operation().into(), advice, source: error.into() }
    };
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT);
    let pool = connect(options).await.map_err(fault)?;
    let version: String =
        sqlx::query_scalar("SELECT sqlite_version()").fetch_one(&pool).await.map_err(fault)?;
    if has_wal_reset_defect(&version) {
        return Err(Error::Store {
            operation: operation().into(),
            advice: "this SQLite library can damage a database in WAL mode: link 3.51.3 or newer \
                     (sqlx's feature `sqlite-bundled` does)"
                .into(),
            source: format!("SQLite {version} has the WAL-reset defect").into(),
        });
    }
    let log = SqliteLog::new(pool);
    log.create_table().await?;
    Ok(log)
}

/// What the path names instead of a file on disk, and what to do about it.
fn not_a_file(path: &Path) -> Option<(&'static str, &'static str)> {
    let text = path.to_string_lossy();
    if text.trim().is_empty() {
        // SQLite opens a temporary database of its own for each connection.
        Some(("the path is empty", "name the file, and see whether the variable that holds its name is set"))
    } else if text.trim() == ":memory:" || text.contains("::memory:") || text.contains("mode=memory") {
        Some((
            "a database in memory is not a file",
            "a database in memory is one per connection: use `MemoryProcessedLog`, or `SqliteLog::new` over a pool of \
             one connection",
        ))
    } else if ["file:", "sqlite:"].iter().any(|scheme| text.starts_with(scheme)) {
        Some((
            "the path is a URL",
            "give the path of the file alone, or use `SqliteLog::new` over a pool of your own",
        ))
    } else if path.is_dir() || text.ends_with('/') {
        Some(("the path is a folder", "name a file in it; the folder has to exist"))
    } else if path.exists() && !path.is_file() {
        Some(("the path is a device, a pipe or a socket", "name a file on disk"))
    } else {
        None
    }
}

/// Connects, and waits where another process is putting the same new file into WAL mode: the busy
/// timeout does not cover that switch (<https://www.sqlite.org/wal.html#activating_and_configuring_wal_mode>).
async fn connect(options: SqliteConnectOptions) -> Result<SqlitePool, sqlx::Error> {
    let deadline = Instant::now() + BUSY_TIMEOUT;
    loop {
        let pool = SqlitePoolOptions::new().max_connections(CONNECTIONS);
        match pool.connect_with(options.clone()).await {
            Err(error) if is_busy(&error) && Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            connected => return connected,
        }
    }
}

/// Whether a lock was held by somebody else.
fn is_busy(error: &sqlx::Error) -> bool {
    matches!(error.as_database_error().and_then(|refusal| code_of(&refusal.code()?)), Some((5 | 6, _)))
}

/// Whether writers and checkpoints on two connections can damage the file: 3.7.0 to 3.51.2, without
/// the releases that the fix was carried back to (<https://www.sqlite.org/wal.html#walresetbug>).
fn has_wal_reset_defect(version: &str) -> bool {
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    match (next(), next(), next()) {
        (3, 44, patch) => patch < 6,
        (3, 50, patch) => patch < 7,
        (3, 51, patch) => patch < 3,
        (3, minor, _) => (7..51).contains(&minor),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::has_wal_reset_defect;

    #[test]
    fn versions_with_the_wal_reset_defect_are_known() {
        for defective in ["3.7.0", "3.40.1", "3.44.5", "3.46.1", "3.50.6", "3.51.0", "3.51.2"] {
            assert!(has_wal_reset_defect(defective), "{defective}");
        }
        for sound in ["3.6.23", "3.44.6", "3.50.7", "3.51.3", "3.52.0", "3.54.1", "4.0.0"] {
            assert!(!has_wal_reset_defect(sound), "{sound}");
        }
    }
}
