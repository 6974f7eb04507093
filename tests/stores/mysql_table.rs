//! Tables that a fence can and cannot be kept in, in MariaDB.

use ferro_idem::{EventRef, MySqlLog, ProcessedEventLog, TransactionalLog};
use ferro_idem_tests::servers::MariaDb;
use sqlx::mysql::MySqlPoolOptions;
use sqlx::{AssertSqlSafe, Executor, MySqlPool};

async fn pool() -> MySqlPool {
    MySqlPool::connect(&MariaDb::shared().await.fresh_database().await).await.unwrap()
}

#[tokio::test]
#[ignore = "needs MariaDB: run tests/run"]
async fn a_table_without_a_unique_key_on_the_id_is_refused() {
    for key in ["KEY (event_id)", "PRIMARY KEY (event_id, event_type)", "UNIQUE (event_id(8))"] {
        let pool = pool().await;
        let table = format!(
            "CREATE TABLE stripe_processed_events (event_id VARBINARY(255) NOT NULL, \
             event_type VARCHAR(255) NOT NULL, {key})"
        );
        sqlx::raw_sql(AssertSqlSafe(table)).execute(&pool).await.unwrap();
        let refused = MySqlLog::new(pool).try_mark_processed("evt_1").await;
        let message = refused.map_err(|error| error.to_string()).expect_err(key);
        assert!(message.contains("`event_id` needs a PRIMARY KEY or UNIQUE constraint"), "{message}");
    }
}

#[tokio::test]
#[ignore = "needs MariaDB: run tests/run"]
async fn ids_are_distinct_that_most_collations_treat_as_equal() {
    let log = MySqlLog::new(pool().await);
    log.create_table().await.unwrap();
    for id in ["evt_a", "EVT_A", "evt_a ", "evt_é", "evt_e", "evt_e\u{301}"] {
        let event = EventRef::new(id).unwrap();
        for kind in ["é".repeat(300), "in\0voice".to_owned()] {
            let first = log.try_mark_event(event.with_type(&*kind)).await.unwrap();
            assert_eq!(first, kind.len() > 300, "{id:?}");
        }
    }
}

/// Such an engine cannot roll back, and a crash loses marks that it has acknowledged.
#[tokio::test]
#[ignore = "needs MariaDB: run tests/run"]
async fn an_engine_without_transactions_is_refused_with_the_fix() {
    for engine in ["MyISAM", "Aria", "MEMORY"] {
        let pool = pool().await;
        // MEMORY holds no blobs.
        let table = MySqlLog::SCHEMA.replace("LONGBLOB", "VARBINARY(255)");
        let table = table.replace("ENGINE=InnoDB", &format!("ENGINE={engine}"));
        sqlx::raw_sql(AssertSqlSafe(table)).execute(&pool).await.unwrap();
        let log = MySqlLog::new(pool);
        let refused = log.begin().await.map(drop).map_err(|error| error.to_string()).expect_err(engine);
        assert!(refused.contains("an engine without transactions"), "{refused}");
        let statement = refused.split_once("with\n").unwrap().1.to_owned();
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(log.pool()).await.unwrap();
        MySqlLog::rollback(log.begin().await.unwrap()).await.unwrap();
    }
}

/// Outside of strict mode.
#[tokio::test]
#[ignore = "needs MariaDB: run tests/run"]
async fn a_column_that_cuts_or_pads_ids_is_refused_with_the_fix() {
    let [cut_to, the_same] = ["a", "b"].map(|last| "x".repeat(64) + last);
    for (column, ids) in [("VARBINARY(64)", [&*cut_to, &*the_same]), ("BINARY(255)", ["evt_a", "evt_b"])] {
        let url = MariaDb::shared().await.fresh_database().await;
        let pool = MySqlPoolOptions::new()
            .after_connect(|connection, _| {
                Box::pin(async { connection.execute("SET sql_mode = ''").await.map(drop) })
            })
            .connect(&url)
            .await
            .unwrap();
        let table = format!(
            "CREATE TABLE stripe_processed_events (event_id {column} NOT NULL PRIMARY KEY, \
             event_type VARCHAR(255) NOT NULL, received_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP)"
        );
        sqlx::raw_sql(AssertSqlSafe(table)).execute(&pool).await.unwrap();
        let by_hand = async |id: &str| {
            let insert =
                sqlx::query("INSERT INTO stripe_processed_events (event_id, event_type) VALUES (?, '')");
            insert.bind(id.as_bytes()).execute(&pool).await.is_ok()
        };
        assert!(by_hand(ids[0]).await);
        let found: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM stripe_processed_events WHERE event_id = ?")
                .bind(ids[0].as_bytes())
                .fetch_one(&pool)
                .await
                .unwrap();
        assert_eq!(found, 0, "{column} keeps another id than it was given");

        let log = MySqlLog::new(pool.clone());
        let refused =
            log.try_mark_processed(ids[0]).await.map_err(|error| error.to_string()).expect_err(column);
        assert!(refused.contains("takes different ids for one"), "{refused}");
        let statements = refused.split_once("compare bytes with\n").expect(&refused).1.to_owned();
        sqlx::raw_sql(AssertSqlSafe(statements)).execute(&pool).await.unwrap();
        if column == "BINARY(255)" {
            assert!(!log.try_mark_processed(ids[0]).await.unwrap(), "what it held still counts");
        } else {
            assert!(log.try_mark_processed(ids[0]).await.unwrap());
        }
        assert!(log.try_mark_processed(ids[1]).await.unwrap(), "{column}");
    }
}

/// The first attempt fails as a deadlock does; the one connection counts it.
#[tokio::test]
#[ignore = "needs MariaDB: run tests/run"]
async fn a_plain_mark_is_repeated_after_a_passing_failure() {
    let url = MariaDb::shared().await.fresh_database().await;
    let pool = MySqlPoolOptions::new().max_connections(1).connect(&url).await.unwrap();
    let failing_once = "CREATE TABLE stripe_processed_events (event_id VARBINARY(255) PRIMARY KEY, \
         event_type VARCHAR(255) NOT NULL, received_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP); \
         SET @attempts = 0; \
         CREATE TRIGGER fail_once BEFORE INSERT ON stripe_processed_events FOR EACH ROW BEGIN \
         SET @attempts = @attempts + 1; \
         IF @attempts = 1 THEN SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213; END IF; END";
    sqlx::raw_sql(failing_once).execute(&pool).await.unwrap();
    let log = MySqlLog::new(pool);
    assert!(log.try_mark_processed("evt_1").await.unwrap());
    assert!(!log.try_mark_processed("evt_1").await.unwrap());
}

/// The statement for many events does not tell an inserted row from one that was there: only its owner does.
#[tokio::test]
#[ignore = "needs MariaDB: run tests/run"]
async fn a_trigger_that_changes_the_owner_is_refused() {
    for (assignments, is_refused) in [
        ("NEW.owner = 'aaaaaaaaaaaaaaaa'", true),
        ("NEW . `Owner`='aaaaaaaaaaaaaaaa'", true),
        ("@owner_id = NEW.event_id", false),
    ] {
        for event in ["INSERT", "UPDATE"] {
            let log = MySqlLog::new(pool().await);
            log.create_table().await.unwrap();
            let trigger = format!(
                "CREATE TRIGGER t BEFORE {event} ON stripe_processed_events FOR EACH ROW SET {assignments}"
            );
            sqlx::raw_sql(AssertSqlSafe(trigger)).execute(log.pool()).await.unwrap();
            let marked = log.try_mark_processed("evt_1").await;
            match marked {
                Ok(is_first) => assert!(is_first && !is_refused, "{assignments}"),
                Err(error) => assert!(is_refused && error.to_string().contains("NEW.owner"), "{error}"),
            }
        }
    }
}

/// Looking at the catalogue for each transaction would be slower than the transaction itself.
#[tokio::test]
#[ignore = "needs MariaDB: run tests/run"]
async fn a_table_is_looked_at_once_and_not_for_each_transaction() {
    let plain = "CREATE TABLE stripe_processed_events (event_id VARBINARY(255) PRIMARY KEY, event_type VARCHAR(255) NOT NULL,
        received_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)) ENGINE=InnoDB";
    let mut statements = Vec::new();
    for table in [plain, MySqlLog::SCHEMA] {
        let url = MariaDb::shared().await.fresh_database().await;
        let log = MySqlLog::new(MySqlPoolOptions::new().max_connections(1).connect(&url).await.unwrap());
        sqlx::raw_sql(table).execute(log.pool()).await.unwrap();
        mark_in_a_transaction(&log, "evt_warm").await;
        let before = statements_so_far(&log).await;
        for nth in 0..10 {
            mark_in_a_transaction(&log, &format!("evt_{nth}")).await;
        }
        statements.push((statements_so_far(&log).await - before) / 10);
    }
    let [plain, full] = statements[..] else { unreachable!("two tables") };
    assert!(plain <= full + 1, "{plain} statements for a transaction on a plain table, {full} on ours");
}

async fn mark_in_a_transaction(log: &MySqlLog, id: &str) {
    let mut transaction = log.begin().await.unwrap();
    log.try_mark_in(&mut transaction, EventRef::new(id).unwrap()).await.unwrap();
    MySqlLog::commit(transaction).await.unwrap();
}

/// What the pool's only connection has sent.
async fn statements_so_far(log: &MySqlLog) -> u64 {
    let status = "SHOW SESSION STATUS LIKE 'Questions'";
    let (_, statements): (String, String) = sqlx::query_as(status).fetch_one(log.pool()).await.unwrap();
    statements.parse().unwrap()
}
