//! MariaDB, with real durability.

use std::sync::Arc;
use std::time::Instant;

use ferro_idem::MySqlLog;
use ferro_idem_tests::servers::MariaDb as Server;
use sqlx::mysql::MySqlPoolOptions;
use sqlx::{AssertSqlSafe, MySqlPool};

use crate::contest::{Database, Ready};
use crate::load::{Delivery, Handler};
use crate::ours::TYPE;
use crate::transaction::{EFFECTS, Handlers, transactions};

pub(crate) struct MariaDb {
    log: MySqlLog,
    alone: MySqlLog,
    /// Stops it when dropped.
    _server: Server,
}

impl MariaDb {
    pub(crate) async fn start() -> Self {
        let server = Server::start_with(&["--innodb-flush-log-at-trx-commit=1"]).await;
        let pool = MySqlPoolOptions::new().min_connections(16).max_connections(16);
        let pool = pool.connect(&server.fresh_database().await).await.expect("the server is up");
        let log = MySqlLog::new(pool);
        let alone = log.clone().without_group_commit().with_table("alone").expect("a valid name");
        for log in [&log, &alone, &log.clone().with_table("bulk").expect("a valid name")] {
            log.create_table().await.expect("the table can be created");
        }
        sqlx::raw_sql(
            "CREATE TABLE by_hand (event_id VARBINARY(255) PRIMARY KEY, event_type VARCHAR(255) NOT NULL, \
             received_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, \
             processed BOOLEAN NOT NULL DEFAULT true)",
        )
        .execute(log.pool())
        .await
        .expect("the table can be created");
        sqlx::raw_sql(EFFECTS).execute(log.pool()).await.expect("the tables can be created");
        Self { log, alone, _server: server }
    }
}

impl Database for MariaDb {
    const NAME: &'static str = "MariaDB";
    const LIMIT: &'static str = "one insert of many rows";
    type Log = MySqlLog;

    fn log(&self) -> MySqlLog {
        self.log.clone()
    }

    fn log_alone(&self) -> MySqlLog {
        self.alone.clone()
    }

    fn fence_by_hand(&self) -> Arc<dyn Handler> {
        Arc::new(Fence(self.log.pool().clone()))
    }

    fn claim_by_hand(&self) -> Arc<dyn Handler> {
        Arc::new(Claim(self.log.pool().clone()))
    }

    fn transactions(&self) -> Handlers {
        transactions(self.log.clone(), self.log.pool().clone())
    }

    fn clear(&self) -> Ready<'_, ()> {
        Box::pin(async {
            let clear = "TRUNCATE by_hand; TRUNCATE alone; TRUNCATE stripe_processed_events; TRUNCATE bulk; \
                         TRUNCATE effects; TRUNCATE effects_by_hand";
            sqlx::raw_sql(clear).execute(self.log.pool()).await.expect("the tables are there");
        })
    }

    fn bulk<'f>(&'f self, ids: &'f [&'f str]) -> Ready<'f, f64> {
        Box::pin(async move {
            // Written out: a statement has room for 65,535 parameters only. Ids are letters and digits.
            let rows: Vec<String> =
                ids.iter().map(|id| format!("('{id}', '{TYPE}', RANDOM_BYTES(16))")).collect();
            let insert = "INSERT INTO bulk (event_id, event_type, owner) VALUES ";
            let insert = AssertSqlSafe(format!("{insert}{}", rows.join(", ")));
            let start = Instant::now();
            let inserted = sqlx::raw_sql(insert).execute(self.log.pool()).await.expect("the table is there");
            assert_eq!(inserted.rows_affected(), ids.len() as u64);
            start.elapsed().as_secs_f64()
        })
    }
}

struct Fence(MySqlPool);

impl Handler for Fence {
    fn deliver<'f>(&'f self, id: &'f str) -> Delivery<'f> {
        Box::pin(async move {
            let insert = "INSERT IGNORE INTO by_hand (event_id, event_type) VALUES (?, ?)";
            let insert = sqlx::query(insert).bind(id).bind(TYPE).execute(&self.0).await;
            insert.expect("the table is there").rows_affected() == 1
        })
    }
}

struct Claim(MySqlPool);

impl Handler for Claim {
    fn deliver<'f>(&'f self, id: &'f str) -> Delivery<'f> {
        Box::pin(async move {
            let insert = "INSERT IGNORE INTO by_hand (event_id, event_type, processed) VALUES (?, ?, false)";
            let insert = sqlx::query(insert).bind(id).bind(TYPE).execute(&self.0).await;
            let is_first = insert.expect("the table is there").rows_affected() == 1;
            if is_first {
                let update = "UPDATE by_hand SET processed = true WHERE event_id = ?";
                let update = sqlx::query(update).bind(id).execute(&self.0).await;
                assert_eq!(update.expect("the table is there").rows_affected(), 1);
            }
            is_first
        })
    }
}

transactions! {
    MySqlLog, MySqlPool,
    begin: "BEGIN",
    mark: "INSERT IGNORE INTO by_hand (event_id, event_type) VALUES (?, ?)",
    effect: "INSERT INTO effects (event_id) VALUES (?)",
    by_hand: "INSERT INTO effects_by_hand (event_id) VALUES (?)"
}
