//! `SeaOrmLog`, on each database that sea-orm has.

use ferro_idem::{Error, SeaOrmLog};
use sea_orm::entity::prelude::*;
use sea_orm::{ActiveValue::Set, ConnectOptions, ConnectionTrait, Database, DatabaseTransaction};

use crate::databases::{Database as OnDatabase, OnMariaDb, OnPostgres, OnSqlite};
use crate::kit::{Handles, Layered};
use crate::promises::promises;

mod effect {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "effects")]
    pub(super) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub event_id: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(super) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// The layer on one database.
pub(crate) struct SeaOrm<D>(pub(crate) std::marker::PhantomData<D>);

impl<D: OnDatabase> Layered for SeaOrm<D> {
    type Database = D;

    type Lent = DatabaseTransaction;

    type Log = SeaOrmLog;

    const CLOSES: bool = false;

    async fn open(url: &str, connections: u32) -> SeaOrmLog {
        let mut options = ConnectOptions::new(url);
        options.max_connections(connections).sqlx_logging(false);
        SeaOrmLog::new(Database::connect(options).await.unwrap())
    }

    async fn check(log: &SeaOrmLog) -> Result<(), Error> {
        log.check().await
    }

    async fn run(lent: &mut DatabaseTransaction, sql: &str) -> Result<(), String> {
        lent.execute_unprepared(sql).await.map(drop).map_err(|error| error.to_string())
    }

    async fn write(lent: &mut DatabaseTransaction, event_id: &str) -> Result<(), String> {
        let effect = effect::ActiveModel { event_id: Set(event_id.to_owned()) };
        let written = effect::Entity::insert(effect).exec_without_returning(lent).await;
        written.map(drop).map_err(|error| error.to_string())
    }
}

mod postgres {
    use super::*;

    const LAYER: SeaOrm<OnPostgres> = SeaOrm(std::marker::PhantomData);

    ferro_idem::conformance::tests! {
        #[ignore = "needs PostgreSQL: run tests/run"]
        transactions;
        store = Handles::<SeaOrm<OnPostgres>>::fresh().await
    }

    promises! {
        [ignore = "needs PostgreSQL: run tests/run"]
        for LAYER;
        sees_the_rows_of_sqlx excludes_sqlx_at_the_same_time survives_a_drop_at_every_await
        says_that_a_body_committed says_that_the_database_rolled_back needs_one_connection survives_a_killed_server
        works_over_a_plain_table refuses_a_key_that_takes_two_ids_for_one sees_claims_after_an_upgrade
        says_that_the_session_is_read_only says_that_a_body_began_another_transaction
    }
}

mod mariadb {
    use super::*;

    const LAYER: SeaOrm<OnMariaDb> = SeaOrm(std::marker::PhantomData);

    ferro_idem::conformance::tests! {
        #[ignore = "needs MariaDB: run tests/run"]
        transactions;
        store = Handles::<SeaOrm<OnMariaDb>>::fresh().await
    }

    promises! {
        [ignore = "needs MariaDB: run tests/run"]
        for LAYER;
        sees_the_rows_of_sqlx excludes_sqlx_at_the_same_time survives_a_drop_at_every_await
        says_that_a_body_committed says_that_the_database_rolled_back needs_one_connection works_over_a_plain_table refuses_a_key_that_takes_two_ids_for_one sees_claims_after_an_upgrade
        says_that_the_session_is_read_only says_that_a_body_began_another_transaction
    }
}

mod sqlite {
    use super::*;

    const LAYER: SeaOrm<OnSqlite> = SeaOrm(std::marker::PhantomData);

    ferro_idem::conformance::tests! {
        transactions;
        store = Handles::<SeaOrm<OnSqlite>>::fresh().await
    }

    promises! {
        [cfg(all())]
        for LAYER;
        sees_the_rows_of_sqlx excludes_sqlx_at_the_same_time survives_a_drop_at_every_await
        says_that_a_body_committed says_that_the_database_rolled_back needs_one_connection works_over_a_plain_table refuses_a_key_that_takes_two_ids_for_one sees_claims_after_an_upgrade
        says_that_the_session_is_read_only says_that_a_body_began_another_transaction
    }
}
