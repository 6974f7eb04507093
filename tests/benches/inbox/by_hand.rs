//! What an application would write: a table with the bodies, an insert for each delivery, and a loop that takes one
//! delivery in a transaction, and deletes it.

use sqlx::{AssertSqlSafe, Database, MySqlPool, PgPool, Pool, SqlitePool};

use ferro_idem::__inbox::InboxDatabase;

/// The statements by hand of one database.
pub(crate) trait ByHand: Send + Sync + 'static {
    type D: InboxDatabase;

    /// The loops that take at the same time. More than one only disturb each other on SQLite.
    const LOOPS: usize;

    async fn create(pool: &Pool<Self::D>) -> Result<(), sqlx::Error>;

    async fn insert(pool: Pool<Self::D>, id: String, body: &[u8]) -> Result<(), sqlx::Error>;

    /// Takes one delivery and deletes it. `false`: there is none.
    async fn process(pool: &Pool<Self::D>) -> Result<bool, sqlx::Error>;

    /// Adds so many processed keys.
    async fn fill_seen(pool: &Pool<Self::D>, keys: u32) -> Result<(), sqlx::Error>;
}

pub(crate) struct OnPostgres;
pub(crate) struct OnMySql;
pub(crate) struct OnSqlite;

pub(crate) async fn run<D: Database>(pool: &Pool<D>, statement: String) -> Result<(), sqlx::Error>
where
    for<'c> &'c mut D::Connection: sqlx::Executor<'c, Database = D>,
{
    let mut connection = pool.acquire().await?;
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *connection).await.map(drop)
}

impl ByHand for OnPostgres {
    type D = sqlx::Postgres;

    const LOOPS: usize = 16;

    async fn create(pool: &PgPool) -> Result<(), sqlx::Error> {
        let create = "CREATE TABLE by_hand (seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            event_id TEXT NOT NULL UNIQUE, received_at TIMESTAMPTZ NOT NULL DEFAULT now(), body BYTEA NOT NULL)";
        run(pool, create.to_owned()).await
    }

    async fn insert(pool: PgPool, id: String, body: &[u8]) -> Result<(), sqlx::Error> {
        let insert = "INSERT INTO by_hand (event_id, body) VALUES ($1, $2) ON CONFLICT (event_id) DO NOTHING";
        sqlx::query(insert).bind(id).bind(body).execute(&pool).await.map(drop)
    }

    async fn process(pool: &PgPool) -> Result<bool, sqlx::Error> {
        let mut transaction = pool.begin().await?;
        let take = "SELECT seq, body FROM by_hand ORDER BY seq LIMIT 1 FOR UPDATE SKIP LOCKED";
        let taken: Option<(i64, Vec<u8>)> = sqlx::query_as(take).fetch_optional(&mut *transaction).await?;
        let Some((seq, _)) = taken else { return Ok(false) };
        sqlx::query("DELETE FROM by_hand WHERE seq = $1").bind(seq).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn fill_seen(pool: &PgPool, keys: u32) -> Result<(), sqlx::Error> {
        let fill = format!(
            "INSERT INTO webhook_inbox_seen (event_id)
             SELECT 'github:' || md5(n::text) FROM generate_series(1, {keys}) n"
        );
        run(pool, fill).await
    }
}

impl ByHand for OnMySql {
    type D = sqlx::MySql;

    const LOOPS: usize = 16;

    async fn create(pool: &MySqlPool) -> Result<(), sqlx::Error> {
        let create = "CREATE TABLE by_hand (seq BIGINT AUTO_INCREMENT PRIMARY KEY,
            event_id VARBINARY(255) NOT NULL UNIQUE, received_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
            body LONGBLOB NOT NULL)";
        run(pool, create.to_owned()).await
    }

    async fn insert(pool: MySqlPool, id: String, body: &[u8]) -> Result<(), sqlx::Error> {
        let insert = "INSERT INTO by_hand (event_id, body) VALUES (?, ?)";
        sqlx::query(insert).bind(id).bind(body).execute(&pool).await.map(drop)
    }

    async fn process(pool: &MySqlPool) -> Result<bool, sqlx::Error> {
        let begin = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; BEGIN";
        let mut transaction = pool.begin_with(begin).await?;
        let take = "SELECT seq, body FROM by_hand ORDER BY seq LIMIT 1 FOR UPDATE SKIP LOCKED";
        let taken: Option<(i64, Vec<u8>)> = sqlx::query_as(take).fetch_optional(&mut *transaction).await?;
        let Some((seq, _)) = taken else { return Ok(false) };
        sqlx::query("DELETE FROM by_hand WHERE seq = ?").bind(seq).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn fill_seen(pool: &MySqlPool, keys: u32) -> Result<(), sqlx::Error> {
        let fill = format!(
            "INSERT INTO webhook_inbox_seen (event_id) SELECT CONCAT('github:', MD5(seq)) FROM seq_1_to_{keys}"
        );
        run(pool, fill).await
    }
}

impl ByHand for OnSqlite {
    type D = sqlx::Sqlite;

    const LOOPS: usize = 1;

    async fn create(pool: &SqlitePool) -> Result<(), sqlx::Error> {
        let create =
            "CREATE TABLE by_hand (seq INTEGER PRIMARY KEY AUTOINCREMENT, event_id TEXT NOT NULL UNIQUE,
            received_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP, body BLOB NOT NULL) STRICT";
        run(pool, create.to_owned()).await
    }

    async fn insert(pool: SqlitePool, id: String, body: &[u8]) -> Result<(), sqlx::Error> {
        let insert = "INSERT INTO by_hand (event_id, body) VALUES (?, ?) ON CONFLICT (event_id) DO NOTHING";
        sqlx::query(insert).bind(id).bind(body).execute(&pool).await.map(drop)
    }

    async fn process(pool: &SqlitePool) -> Result<bool, sqlx::Error> {
        let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
        let take = "SELECT seq, body FROM by_hand ORDER BY seq LIMIT 1";
        let taken: Option<(i64, Vec<u8>)> = sqlx::query_as(take).fetch_optional(&mut *transaction).await?;
        let Some((seq, _)) = taken else { return Ok(false) };
        sqlx::query("DELETE FROM by_hand WHERE seq = ?").bind(seq).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn fill_seen(pool: &SqlitePool, keys: u32) -> Result<(), sqlx::Error> {
        let fill = format!(
            "WITH RECURSIVE g (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM g WHERE n < {keys})
             INSERT INTO webhook_inbox_seen (event_id) SELECT 'github:' || hex(randomblob(16)) FROM g"
        );
        run(pool, fill).await
    }
}
