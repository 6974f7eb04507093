//! A handler's effect, and what waits in an inbox, in the words of each database.

use sqlx::{Database, MySqlConnection, MySqlPool, PgConnection, PgPool, Pool, SqliteConnection, SqlitePool};

use crate::by_hand::{ByHand, OnMySql, OnPostgres, OnSqlite, run};

/// How a body of the sender "bench" without headers begins, as it is stored: version, name, number of headers.
const STORED: &str = "010562656e63680000";

const EFFECTS: &str = "CREATE TABLE bench_effects (event_id VARCHAR(255) NOT NULL)";

/// The statements of one database.
pub(crate) trait Effect: ByHand {
    /// One effect of a handler.
    fn effect(
        connection: &mut <Self::D as Database>::Connection,
        id: &str,
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send;

    /// Takes one delivery, writes its effect and deletes it, in one transaction. `false`: there is none.
    async fn process_with_effect(pool: &Pool<Self::D>) -> Result<bool, sqlx::Error>;

    async fn create_effects(pool: &Pool<Self::D>) -> Result<(), sqlx::Error>;

    /// Adds so many deliveries that wait for a worker of this sender, with small bodies. With a key, the first of them
    /// has failed and backs off, and the others wait for it.
    async fn fill_waiting(
        pool: &Pool<Self::D>,
        sender: &str,
        key: Option<&str>,
        count: u32,
    ) -> Result<(), sqlx::Error>;
}

macro_rules! on_database {
    ($on:ty, $pool:ty, $connection:ty, $begin:expr, $take:literal, $delete:literal, $insert:literal, $fill:expr) => {
        impl Effect for $on {
            async fn effect(connection: &mut $connection, id: &str) -> Result<(), sqlx::Error> {
                sqlx::query($insert).bind(id).execute(connection).await.map(drop)
            }

            async fn create_effects(pool: &$pool) -> Result<(), sqlx::Error> {
                run(pool, EFFECTS.to_owned()).await
            }

            async fn process_with_effect(pool: &$pool) -> Result<bool, sqlx::Error> {
                let mut transaction = pool.begin_with($begin).await?;
                let taken: Option<(i64, String, Vec<u8>)> =
                    sqlx::query_as($take).fetch_optional(&mut *transaction).await?;
                let Some((seq, id, _)) = taken else { return Ok(false) };
                Self::effect(&mut transaction, &id).await?;
                sqlx::query($delete).bind(seq).execute(&mut *transaction).await?;
                transaction.commit().await?;
                Ok(true)
            }

            async fn fill_waiting(
                pool: &$pool,
                sender: &str,
                key: Option<&str>,
                count: u32,
            ) -> Result<(), sqlx::Error> {
                let order_key = key.map_or("NULL".to_owned(), |key| format!("'{key}'"));
                let name = key.unwrap_or("waiting");
                let state = if key.is_some() { "CASE WHEN n = 1 THEN 0 ELSE 3 END" } else { "0" };
                let fill: fn(&str, &str, &str, &str, u32) -> String = $fill;
                run(pool, fill(sender, name, &order_key, state, count)).await
            }
        }
    };
}

on_database!(
    OnPostgres,
    PgPool,
    PgConnection,
    "BEGIN",
    "SELECT seq, event_id, body FROM by_hand ORDER BY seq LIMIT 1 FOR UPDATE SKIP LOCKED",
    "DELETE FROM by_hand WHERE seq = $1",
    "INSERT INTO bench_effects (event_id) VALUES ($1)",
    |sender, name, key, state, count| {
        format!(
        "WITH i AS (
           INSERT INTO webhook_inbox (sender, event_id, event_type, order_key, state, due_at)
           SELECT '{sender}', '{sender}:{name}_' || n, '', {key}, {state},
             CASE WHEN {key} IS NULL THEN now() ELSE now() + interval '1000 s' END
           FROM generate_series(1, {count}) n
           ORDER BY n RETURNING seq, event_id)
         INSERT INTO webhook_inbox_body (seq, body)
         SELECT seq, '\\x{STORED}'::bytea || convert_to('{{\"id\":\"' || substr(event_id, length('{sender}:') + 1) || '\"}}', 'UTF8') FROM i;
         ANALYZE webhook_inbox"
    )
    }
);

on_database!(
    OnMySql,
    MySqlPool,
    MySqlConnection,
    "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; BEGIN",
    "SELECT seq, CAST(event_id AS CHAR), body FROM by_hand ORDER BY seq LIMIT 1 FOR UPDATE SKIP LOCKED",
    "DELETE FROM by_hand WHERE seq = ?",
    "INSERT INTO bench_effects (event_id) VALUES (?)",
    |sender, name, key, state, count| format!(
        "INSERT INTO webhook_inbox (sender, event_id, event_type, order_key, state, due_at)
         SELECT '{sender}', CONCAT('{sender}:{name}_', n), '', {key}, {state},
           CASE WHEN {key} IS NULL THEN UTC_TIMESTAMP(6)
             WHEN n = 1 THEN UTC_TIMESTAMP(6) + INTERVAL 1000 SECOND END
         FROM (SELECT seq AS n FROM seq_1_to_{count}) AS numbers;
         INSERT INTO webhook_inbox_body (seq, body)
         SELECT seq, CONCAT(x'{STORED}', '{{\"id\":\"', SUBSTRING(event_id, LENGTH('{sender}:') + 1), '\"}}')
         FROM webhook_inbox WHERE event_id LIKE '{sender}:{name}!_%' ESCAPE '!'"
    )
);

on_database!(
    OnSqlite,
    SqlitePool,
    SqliteConnection,
    "BEGIN IMMEDIATE",
    "SELECT seq, event_id, body FROM by_hand ORDER BY seq LIMIT 1",
    "DELETE FROM by_hand WHERE seq = ?",
    "INSERT INTO bench_effects (event_id) VALUES (?)",
    |sender, name, key, state, count| {
        format!(
        "BEGIN;
         WITH RECURSIVE g (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM g WHERE n < {count})
         INSERT INTO webhook_inbox (sender, event_id, event_type, order_key, state, due_at)
         SELECT '{sender}', '{sender}:{name}_' || n, '', {key}, {state},
           CASE WHEN {key} IS NULL THEN unixepoch() ELSE unixepoch() + 1000 END * 1000 FROM g;
         INSERT INTO webhook_inbox_body (seq, body)
         SELECT seq, unhex('{STORED}' || hex('{{\"id\":\"' || substr(event_id, length('{sender}:') + 1) || '\"}}'))
         FROM webhook_inbox WHERE event_id LIKE '{sender}:{name}!_%' ESCAPE '!';
         COMMIT"
    )
    }
);
