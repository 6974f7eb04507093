//! diesel-async.

use diesel::ExpressionMethods;
use diesel_async::pooled_connection::AsyncDieselConnectionManager;
use diesel_async::pooled_connection::deadpool::Pool;
use diesel_async::{
    AsyncConnection, AsyncMysqlConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection,
};
use ferro_idem::{DieselMySqlLog, DieselPostgresLog};

use crate::by_hand::TABLES;
use crate::contest::{Contest, begin, commit, handler};

diesel::table! {
    by_hand (event_id) {
        event_id -> Text,
        event_type -> Text,
    }
}

diesel::table! {
    effects (event_id) {
        event_id -> Text,
    }
}

diesel::table! {
    effects_by_hand (event_id) {
        event_id -> Text,
    }
}

macro_rules! contest {
    ($name:ident, $connection:ty, $log:ty, $mark:expr) => {
        pub(crate) async fn $name(url: &str) -> Contest {
            async fn deliver_by_hand(pool: &Pool<$connection>, id: &str) {
                let mut connection = pool.get().await.unwrap();
                connection
                    .transaction(async |tx| {
                        let values = (by_hand::event_id.eq(id), by_hand::event_type.eq(""));
                        assert_eq!($mark(values).execute(tx).await?, 1);
                        let effect = effects_by_hand::event_id.eq(id);
                        diesel::insert_into(effects_by_hand::table).values(effect).execute(tx).await?;
                        diesel::QueryResult::Ok(())
                    })
                    .await
                    .unwrap();
            }

            let manager = AsyncDieselConnectionManager::<$connection>::new(url);
            let pool = Pool::builder(manager).max_size(16).build().unwrap();
            let log = <$log>::new(pool.clone());
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
                        let mut tx = begin(&log, &id).await;
                        let insert = diesel::insert_into(effects::table).values(effects::event_id.eq(&id));
                        insert.execute(&mut *tx).await.unwrap();
                        commit(&log, tx).await;
                    }
                }),
            }
        }
    };
}

contest!(on_postgres, AsyncPgConnection, DieselPostgresLog, |values| {
    diesel::insert_into(by_hand::table).values(values).on_conflict_do_nothing()
});
contest!(on_mariadb, AsyncMysqlConnection, DieselMySqlLog, |values| {
    diesel::insert_into(by_hand::table).values(values)
});
