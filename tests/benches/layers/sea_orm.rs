//! sea-orm.

use ferro_idem::SeaOrmLog;
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbBackend, Statement,
    TransactionTrait,
};

use crate::by_hand::{EFFECT, EFFECT_BY_HAND, MARK, TABLES};
use crate::contest::{Contest, begin, commit, handler};

async fn execute(tx: &DatabaseTransaction, [dollar, question]: [&str; 2], id: &str) -> u64 {
    let backend = tx.get_database_backend();
    let sql = if backend == DbBackend::MySql { question } else { dollar };
    tx.execute_raw(Statement::from_sql_and_values(backend, sql, [id.into()])).await.unwrap().rows_affected()
}

async fn deliver_by_hand(connection: &DatabaseConnection, id: &str) {
    let tx = connection.begin().await.unwrap();
    assert_eq!(execute(&tx, MARK, id).await, 1);
    execute(&tx, EFFECT_BY_HAND, id).await;
    tx.commit().await.unwrap();
}

pub(crate) async fn contest(url: &str) -> Contest {
    let mut options = ConnectOptions::new(url);
    // SQLite has one writer.
    let connections = if url.starts_with("sqlite") { 1 } else { 16 };
    options.min_connections(connections).max_connections(connections).sqlx_logging(false);
    let connection = Database::connect(options).await.unwrap();
    if url.starts_with("sqlite") {
        connection.execute_unprepared("PRAGMA journal_mode = WAL").await.unwrap();
    }
    let log = SeaOrmLog::new(connection.clone());
    log.create_table().await.unwrap();
    for table in TABLES {
        connection.execute_unprepared(table).await.unwrap();
    }
    Contest {
        by_hand: handler(move |id| {
            let connection = connection.clone();
            async move { deliver_by_hand(&connection, &id).await }
        }),
        ours: handler(move |id| {
            let log = log.clone();
            async move {
                let tx = begin(&log, &id).await;
                execute(&tx, EFFECT, &id).await;
                commit(&log, tx).await;
            }
        }),
    }
}
