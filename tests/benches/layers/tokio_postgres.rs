//! tokio-postgres, with deadpool-postgres.

use deadpool_postgres::{Manager, Pool};
use ferro_idem::TokioPostgresLog;
use tokio_postgres::NoTls;

use crate::by_hand::{EFFECT, EFFECT_BY_HAND, MARK, TABLES};
use crate::contest::{Contest, begin, commit, handler};

async fn deliver_by_hand(pool: &Pool, id: &str) {
    let mut client = pool.get().await.unwrap();
    let tx = client.transaction().await.unwrap();
    let mark = tx.prepare_cached(MARK[0]).await.unwrap();
    assert_eq!(tx.execute(&mark, &[&id]).await.unwrap(), 1);
    let effect = tx.prepare_cached(EFFECT_BY_HAND[0]).await.unwrap();
    tx.execute(&effect, &[&id]).await.unwrap();
    tx.commit().await.unwrap();
}

pub(crate) async fn contest(url: &str) -> Contest {
    let manager = Manager::new(url.parse().unwrap(), NoTls);
    let pool = Pool::builder(manager).max_size(16).build().unwrap();
    let log = TokioPostgresLog::new(pool.clone());
    log.create_table().await.unwrap();
    for table in TABLES {
        pool.get().await.unwrap().batch_execute(table).await.unwrap();
    }
    Contest {
        by_hand: handler(move |id| {
            let pool = pool.clone();
            async move { deliver_by_hand(&pool, &id).await }
        }),
        ours: handler(move |id| {
            let log = log.clone();
            async move {
                let tx = begin(&log, &id).await;
                let effect = tx.prepare_cached(EFFECT[0]).await.unwrap();
                tx.execute(&effect, &[&id]).await.unwrap();
                commit(&log, tx).await;
            }
        }),
    }
}
