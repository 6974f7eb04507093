//! A log behind a pooler.

use super::PostgresLog;

impl PostgresLog {
    /// The same log behind `PgBouncer` in transaction mode, or another pooler that gives each transaction a session of the
    /// server of its own.
    ///
    /// sqlx prepares a statement in one message and sends it in another one, and such a pooler may lead them to two
    /// sessions. So each request of this log runs in a transaction of its own, which costs two more round trips.
    ///
    /// The pool's options need `extra_float_digits(None)`, unless the pooler ignores that parameter
    /// (`ignore_startup_parameters`).
    /// The application's own statements need a transaction, which a body under `transaction(tx)` has, and
    /// `persistent(false)`, unless the pooler keeps prepared statements itself (`PgBouncer` from 1.21 on, with
    /// `max_prepared_statements`).
    ///
    /// Without this, a pooler is refused where it is seen: by `check()` and at the first delivery, if the pool has two
    /// connections.
    ///
    /// ```no_run
    /// use ferro_idem::PostgresLog;
    /// use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let options: PgConnectOptions = "postgres://app@pgbouncer:6432/shop".parse()?;
    /// let options = options.extra_float_digits(None);
    /// let log = PostgresLog::new(PgPoolOptions::new().connect_with(options).await?).behind_transaction_pooler();
    /// log.check().await?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn behind_transaction_pooler(self) -> Self {
        Self { has_group_commit: self.has_group_commit, ..Self::over(self.core.behind_pooler()) }
    }
}
