//! PostgreSQL, with real durability.

use std::sync::Arc;
use std::time::Instant;

use ferro_idem::PostgresLog;
use ferro_idem_tests::servers::Postgres;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use crate::contest::{Database, Ready};
use crate::load::{Delivery, Handler};
use crate::ours::TYPE;
use crate::transaction::{EFFECTS, Handlers, transactions};

pub(crate) struct PostgreSql {
    log: PostgresLog,
    alone: PostgresLog,
    /// Stops it when dropped.
    _server: Postgres,
}

impl PostgreSql {
    pub(crate) async fn start() -> Self {
        let server = Postgres::start_with(&["fsync=on"]).await;
        let pool = PgPoolOptions::new().min_connections(16).max_connections(16);
        let pool = pool.connect(&server.fresh_database().await).await.expect("the server is up");
        let log = PostgresLog::new(pool);
        let alone = log.clone().without_group_commit().with_table("alone").expect("a valid name");
        for log in [&log, &alone, &log.clone().with_table("bulk").expect("a valid name")] {
            log.create_table().await.expect("the table can be created");
        }
        sqlx::raw_sql(
            "CREATE TABLE by_hand (event_id TEXT PRIMARY KEY, event_type TEXT NOT NULL, \
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

impl Database for PostgreSql {
    const NAME: &'static str = "PostgreSQL";
    const LIMIT: &'static str = "one bulk insert";
    type Log = PostgresLog;

    fn log(&self) -> PostgresLog {
        self.log.clone()
    }

    fn log_alone(&self) -> PostgresLog {
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
            let clear = "TRUNCATE by_hand, alone, stripe_processed_events, bulk, effects, effects_by_hand; \
                         CHECKPOINT";
            sqlx::raw_sql(clear).execute(self.log.pool()).await.expect("the tables are there");
        })
    }

    fn bulk<'f>(&'f self, ids: &'f [&'f str]) -> Ready<'f, f64> {
        Box::pin(async move {
            let start = Instant::now();
            let inserted = sqlx::query(
                "INSERT INTO bulk (event_id, event_type, owner) \
                 SELECT id, $2, gen_random_uuid() FROM unnest($1::text[]) AS b (id) \
                 ON CONFLICT (event_id) DO NOTHING",
            )
            .bind(ids)
            .bind(TYPE)
            .execute(self.log.pool())
            .await
            .expect("the table is there");
            assert_eq!(inserted.rows_affected(), ids.len() as u64);
            start.elapsed().as_secs_f64()
        })
    }
}

struct Fence(PgPool);

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

struct Claim(PgPool);

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
    PostgresLog, PgPool,
    begin: "BEGIN",
    mark: "INSERT INTO by_hand (event_id, event_type) VALUES ($1, $2) ON CONFLICT (event_id) DO NOTHING",
    effect: "INSERT INTO effects (event_id) VALUES ($1)",
    by_hand: "INSERT INTO effects_by_hand (event_id) VALUES ($1)"
}
