//! The store that a URL names.

use std::sync::Arc;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
use std::time::Duration;

use async_trait::async_trait;

use super::args::StoreArgs;
use super::exit::Failure;
use crate::error::Error;
use crate::operations::Operations;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
use crate::{
    inbox::{InboxDatabase, operations::InboxOperations, parts::InboxStore},
    sql::{InvalidTableName, SqlLog},
};

/// A log, as the command uses it.
#[async_trait]
pub(super) trait Store: Send + Sync {
    fn operations(&self) -> Arc<dyn Operations>;

    async fn check(&self) -> Result<(), Error>;

    /// The statements that make the table. `None`: there is no table.
    fn schema(&self) -> Option<String>;

    /// The statements that add the columns which the table lacks.
    async fn missing_columns(&self) -> Result<Option<String>, Error>;

    /// Runs one of these statements.
    async fn add_column(&self, statement: &str) -> Result<(), Error>;

    /// The inbox beside it, in tables of this name. `None`: there is none in such a store.
    #[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
    fn inbox(&self, table: Option<&str>) -> Result<Option<Box<dyn StoreOfInbox>>, InvalidTableName>;
}

/// An inbox, as the command uses it.
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
#[async_trait]
pub(super) trait StoreOfInbox: Send + Sync {
    fn operations(&self) -> Arc<dyn InboxOperations>;

    async fn check(&self) -> Result<(), Error>;

    fn schema(&self) -> String;
}

pub(super) const NO_INBOX: Failure =
    Failure::NotPossible("Redis holds no inbox: an inbox is in a SQL database.");

#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
#[async_trait]
impl<D: InboxDatabase> StoreOfInbox for InboxStore<D> {
    fn operations(&self) -> Arc<dyn InboxOperations> {
        InboxStore::operations(self)
    }

    async fn check(&self) -> Result<(), Error> {
        InboxStore::check(self).await
    }

    fn schema(&self) -> String {
        InboxStore::schema(self)
    }
}

#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
#[async_trait]
impl<D: InboxDatabase> Store for SqlLog<D> {
    fn operations(&self) -> Arc<dyn Operations> {
        SqlLog::operations(self)
    }

    async fn check(&self) -> Result<(), Error> {
        SqlLog::check(self).await
    }

    fn schema(&self) -> Option<String> {
        Some(SqlLog::schema(self))
    }

    async fn missing_columns(&self) -> Result<Option<String>, Error> {
        SqlLog::missing_columns(self).await.map(Some)
    }

    async fn add_column(&self, statement: &str) -> Result<(), Error> {
        SqlLog::add_column(self, statement).await
    }

    fn inbox(&self, table: Option<&str>) -> Result<Option<Box<dyn StoreOfInbox>>, InvalidTableName> {
        // Its operations are on all senders.
        let store = InboxStore::new(self, "");
        let store = if let Some(table) = table { store.with_table(table)? } else { store };
        Ok(Some(Box::new(store)))
    }
}

#[cfg(feature = "redis")]
#[async_trait]
impl<C: redis::aio::ConnectionLike + Clone + Send + Sync + 'static> Store for crate::RedisLog<C> {
    fn operations(&self) -> Arc<dyn Operations> {
        Self::operations(self)
    }

    async fn check(&self) -> Result<(), Error> {
        Self::check(self).await
    }

    fn schema(&self) -> Option<String> {
        None
    }

    async fn missing_columns(&self) -> Result<Option<String>, Error> {
        Ok(None)
    }

    async fn add_column(&self, _: &str) -> Result<(), Error> {
        Ok(())
    }

    #[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
    fn inbox(&self, _: Option<&str>) -> Result<Option<Box<dyn StoreOfInbox>>, InvalidTableName> {
        Ok(None)
    }
}

/// The schemes, and the features that they need.
const SCHEMES: [(&[&str], &str, bool); 4] = [
    (&["postgres", "postgresql"], "postgres", cfg!(feature = "postgres")),
    (&["mysql", "mariadb"], "mysql", cfg!(feature = "mysql")),
    (&["sqlite"], "sqlite", cfg!(feature = "sqlite")),
    (&["redis", "rediss", "redis+unix", "unix", "valkey", "valkeys"], "redis", cfg!(feature = "redis")),
];

/// An operator waits for one connection, not for a busy pool.
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
const CONNECT_WITHIN: Duration = Duration::from_secs(8);

#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
const CONNECTIONS: u32 = 2;

/// Opens the store. Nothing is sent to a database yet.
#[allow(clippy::unused_async, reason = "without Redis nothing is waited for")]
pub(super) async fn open(args: &StoreArgs) -> Result<Box<dyn Store>, Failure> {
    let url = args.url.as_deref().map(str::trim).filter(|url| !url.is_empty());
    let url = url.ok_or_else(|| Failure::Usage("name the store: set FERRO_IDEM_URL, or --url".to_owned()))?;
    let scheme = url.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase()).unwrap_or_default();
    let known = SCHEMES.iter().find(|(schemes, ..)| schemes.contains(&scheme.as_str()));
    let Some((_, feature, is_on)) = known else {
        return Err(Failure::Usage(
            "the URL of the store begins with postgres:, mysql:, sqlite: or redis:".to_owned(),
        ));
    };
    if !is_on {
        return Err(Failure::Usage(format!(
            "this command was built without the feature `{feature}`: cargo install ferro-idem --features \
             cli,{feature}"
        )));
    }
    match *feature {
        #[cfg(feature = "postgres")]
        "postgres" => open_postgres(url, args).map(boxed),
        #[cfg(feature = "mysql")]
        "mysql" => {
            let pool = sqlx::mysql::MySqlPoolOptions::new().max_connections(CONNECTIONS);
            let options = url.parse().map_err(wrong_url)?;
            let pool = pool.acquire_timeout(CONNECT_WITHIN).connect_lazy_with(options);
            named(crate::MySqlLog::new(pool), args).map(boxed)
        }
        #[cfg(feature = "sqlite")]
        "sqlite" => open_sqlite(url, args).map(boxed),
        #[cfg(feature = "redis")]
        "redis" => open_redis(url, args).await,
        _ => Err(Failure::Usage("the URL of the store is of no known kind".to_owned())),
    }
}

#[cfg(any(feature = "mysql", feature = "postgres", feature = "redis", feature = "sqlite"))]
fn boxed(store: impl Store + 'static) -> Box<dyn Store> {
    Box::new(store)
}

#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
fn named<D: crate::SqlDatabase>(log: SqlLog<D>, args: &StoreArgs) -> Result<SqlLog<D>, Failure> {
    let usage = |error: crate::InvalidTableName| Failure::Usage(error.to_string());
    let log = match &args.table {
        Some(table) => log.with_table(table).map_err(usage)?,
        None => log,
    };
    let log = match &args.schema {
        Some(schema) => log.with_schema(schema).map_err(usage)?,
        None => log,
    };
    no_redis(args)?;
    Ok(log)
}

/// An option that would be ignored is a mistake.
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
fn no_redis(args: &StoreArgs) -> Result<(), Failure> {
    if args.key_prefix.is_some() || args.retention.is_some() || args.cluster {
        return Err(Failure::Usage("--key-prefix, --retention and --cluster are for Redis".to_owned()));
    }
    Ok(())
}

#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
fn wrong_url(error: sqlx::Error) -> Failure {
    Failure::Store(Error::Store {
        operation: "read the store's URL".into(),
        advice:
            "see that it is SCHEME://USER:PASSWORD@HOST/DATABASE, with special characters percent-encoded"
                .into(),
        source: error.into(),
    })
}

#[cfg(feature = "postgres")]
fn open_postgres(url: &str, args: &StoreArgs) -> Result<crate::PostgresLog, Failure> {
    let options: sqlx::postgres::PgConnectOptions = url.parse().map_err(wrong_url)?;
    let pool = sqlx::postgres::PgPoolOptions::new().max_connections(CONNECTIONS);
    let pool = pool.acquire_timeout(CONNECT_WITHIN).connect_lazy_with(options.application_name("ferro-idem"));
    let log = named(crate::PostgresLog::new(pool), args)?;
    Ok(if args.behind_pooler { log.behind_transaction_pooler() } else { log })
}

/// Creates no file: an operator who mistypes a path would look at an empty database.
#[cfg(feature = "sqlite")]
fn open_sqlite(url: &str, args: &StoreArgs) -> Result<crate::SqliteLog, Failure> {
    let options: sqlx::sqlite::SqliteConnectOptions = url.parse().map_err(wrong_url)?;
    let options = options.create_if_missing(false).busy_timeout(Duration::from_secs(5));
    let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(CONNECTIONS);
    named(crate::SqliteLog::new(pool.acquire_timeout(CONNECT_WITHIN).connect_lazy_with(options)), args)
}

#[cfg(feature = "redis")]
async fn open_redis(url: &str, args: &StoreArgs) -> Result<Box<dyn Store>, Failure> {
    if args.table.is_some() || args.schema.is_some() {
        return Err(Failure::Usage("Redis has no table: use --key-prefix".to_owned()));
    }
    let failed = |error: redis::RedisError| {
        Failure::Store(Error::Store {
            operation: "connect to the store".into(),
            advice: "see that the server runs and can be reached, and that user and password are right"
                .into(),
            source: error.into(),
        })
    };
    // The one provider of TLS, if several are built in. An error says that there is one already.
    let _is_set = rustls::crypto::ring::default_provider().install_default();
    if args.cluster {
        let client = redis::cluster::ClusterClient::new([url]).map_err(failed)?;
        let connection = client.get_async_connection().await.map_err(failed)?;
        return Ok(boxed(configured(crate::RedisLog::new(connection), args)));
    }
    let client = redis::Client::open(url).map_err(failed)?;
    let config = redis::aio::ConnectionManagerConfig::new().set_number_of_retries(2);
    let connection = client.get_connection_manager_with_config(config).await.map_err(failed)?;
    Ok(boxed(configured(crate::RedisLog::new(connection), args)))
}

#[cfg(feature = "redis")]
fn configured<C: redis::aio::ConnectionLike + Clone + Send + Sync + 'static>(
    log: crate::RedisLog<C>,
    args: &StoreArgs,
) -> crate::RedisLog<C> {
    let log = match &args.key_prefix {
        Some(prefix) => log.with_key_prefix(prefix.as_bytes()),
        None => log,
    };
    match args.retention {
        Some(retention) => log.with_retention(retention),
        None => log,
    }
}
