//! SQLite in a file, in WAL mode, each commit synced.

use std::sync::Arc;
use std::time::Instant;

use ferro_idem::SqliteLog;
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use tempfile::TempDir;

use crate::contest::{Database, Ready};
use crate::load::{Delivery, Handler};
use crate::ours::TYPE;
use crate::transaction::{EFFECTS, Handlers, transactions};

pub(crate) struct Sqlite {
    log: SqliteLog,
    alone: SqliteLog,
    by_hand: SqlitePool,
    _folder: TempDir,
}

impl Sqlite {
    pub(crate) async fn open() -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let log = SqliteLog::open(folder.path().join("events.db")).await.expect("the file can be made");
        let alone = log.clone().without_group_commit().with_table("alone").expect("a valid name");
        for log in [&log, &alone, &log.clone().with_table("bulk").expect("a valid name")] {
            log.create_table().await.expect("the table can be created");
        }
        // Opened as SQLite's documentation recommends, with durable commits.
        let options = SqliteConnectOptions::new()
            .filename(folder.path().join("by_hand.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        let by_hand = SqlitePool::connect_with(options).await.expect("the file can be made");
        sqlx::raw_sql(
            "CREATE TABLE by_hand (event_id TEXT PRIMARY KEY, event_type TEXT NOT NULL, \
             received_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, \
             processed BOOLEAN NOT NULL DEFAULT true)",
        )
        .execute(&by_hand)
        .await
        .expect("the table can be created");
        for pool in [log.pool(), &by_hand] {
            sqlx::raw_sql(EFFECTS).execute(pool).await.expect("the tables can be created");
        }
        Self { log, alone, by_hand, _folder: folder }
    }
}

impl Database for Sqlite {
    const NAME: &'static str = "SQLite";
    const LIMIT: &'static str = "one transaction";
    type Log = SqliteLog;

    fn log(&self) -> SqliteLog {
        self.log.clone()
    }

    fn log_alone(&self) -> SqliteLog {
        self.alone.clone()
    }

    fn fence_by_hand(&self) -> Arc<dyn Handler> {
        Arc::new(Fence(self.by_hand.clone()))
    }

    fn claim_by_hand(&self) -> Arc<dyn Handler> {
        Arc::new(Claim(self.by_hand.clone()))
    }

    fn transactions(&self) -> Handlers {
        transactions(self.log.clone(), self.by_hand.clone())
    }

    fn clear(&self) -> Ready<'_, ()> {
        Box::pin(async {
            let clear = "DELETE FROM alone; DELETE FROM stripe_processed_events; DELETE FROM bulk; \
                         DELETE FROM effects; PRAGMA wal_checkpoint(TRUNCATE)";
            sqlx::raw_sql(clear).execute(self.log.pool()).await.expect("the tables are there");
            let clear = "DELETE FROM by_hand; DELETE FROM effects_by_hand; PRAGMA wal_checkpoint(TRUNCATE)";
            sqlx::raw_sql(clear).execute(&self.by_hand).await.expect("the table is there");
        })
    }

    fn bulk<'f>(&'f self, ids: &'f [&'f str]) -> Ready<'f, f64> {
        Box::pin(async move {
            let start = Instant::now();
            let inserted = sqlx::query(
                "INSERT INTO bulk (event_id, event_type, owner) \
                 SELECT value, $2, randomblob(16) FROM json_each($1) WHERE true \
                 ON CONFLICT (event_id) DO NOTHING",
            )
            .bind(format!("{ids:?}"))
            .bind(TYPE)
            .execute(self.log.pool())
            .await
            .expect("the table is there");
            assert_eq!(inserted.rows_affected(), ids.len() as u64);
            start.elapsed().as_secs_f64()
        })
    }
}

struct Fence(SqlitePool);

impl Handler for Fence {
    fn deliver<'f>(&'f self, id: &'f str) -> Delivery<'f> {
        Box::pin(async move {
            let insert = "INSERT INTO by_hand (event_id, event_type) VALUES ($1, $2) \
                          ON CONFLICT (event_id) DO NOTHING";
            let insert = sqlx::query(insert).bind(id).bind(TYPE).execute(&self.0).await;
            insert.expect("the table is there").rows_affected() == 1
        })
    }
}

struct Claim(SqlitePool);

impl Handler for Claim {
    fn deliver<'f>(&'f self, id: &'f str) -> Delivery<'f> {
        Box::pin(async move {
            let insert = "INSERT INTO by_hand (event_id, event_type, processed) VALUES ($1, $2, false) \
                          ON CONFLICT (event_id) DO NOTHING";
            let insert = sqlx::query(insert).bind(id).bind(TYPE).execute(&self.0).await;
            let is_first = insert.expect("the table is there").rows_affected() == 1;
            if is_first {
                let update = "UPDATE by_hand SET processed = true WHERE event_id = $1";
                let update = sqlx::query(update).bind(id).execute(&self.0).await;
                assert_eq!(update.expect("the table is there").rows_affected(), 1);
            }
            is_first
        })
    }
}

transactions! {
    SqliteLog, SqlitePool,
    begin: "BEGIN IMMEDIATE",
    mark: "INSERT INTO by_hand (event_id, event_type) VALUES ($1, $2) ON CONFLICT (event_id) DO NOTHING",
    effect: "INSERT INTO effects (event_id) VALUES ($1)",
    by_hand: "INSERT INTO effects_by_hand (event_id) VALUES ($1)"
}
