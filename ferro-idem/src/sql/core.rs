//! The state that everything over one table shares: the pool, the table's name, its statements, and the
//! meaning of errors.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use sqlx::error::BoxDynError;
use sqlx::{Connection, Pool};
use tokio::sync::{Mutex, Semaphore};
use tokio::time::{Instant, timeout};

use super::abandoned::Abandoned;
use super::columns::{FoundColumn, SchemaLevel, Traps};
pub(crate) use super::compiled::{Compiled, CompiledSql};
use super::connection::{self, PooledConnection};
use super::dialect::Dialect;
use super::fault::{Cause, Fault, NotRead};
use super::pooler::{Pinned, UnknownPooler};
use super::table::TableName;
use super::table_check;
use super::unmark_queue::UnmarkQueue;
use super::write_turns::WriteTurns;
use crate::detach_on_drop::is_detached;
use crate::error::Error;
use crate::nesting::StoreId;
use crate::retry::{Attempts, FaultKind};

/// A transaction looks at a plain table again after this time.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// How long a call waits for another one's look at the table, before it looks by itself.
const MAX_SHARED_LOOK: Duration = Duration::from_secs(1);

/// One table in one pool. Sessions, transactions and undelivered marks hold it by `Arc`.
pub(super) struct Core<D: Dialect> {
    pool: Pool<D>,
    table: TableName,
    /// The same for each log over this table in this pool.
    pub(super) store_id: StoreId,
    /// Keeps the address that identifies the pool in `store_id`.
    _options: Arc<<D::Connection as Connection>::Options>,
    /// Each request is sent in a transaction of its own.
    has_pooler: bool,
    /// Whether a pooler was seen that nobody told of.
    unknown_pooler: UnknownPooler,
    abandoned: Abandoned,
    /// Set by the first call that finds a plain table. After an upgrade marks still work with it, because the
    /// new columns have defaults. Requests that read or delete rows have to know of claims, so they look at
    /// the table again.
    plain: OnceLock<CompiledSql<D>>,
    /// Set by the first call that finds the columns of [`Dialect::SCHEMA`]. Final.
    full: OnceLock<CompiledSql<D>>,
    /// Set by the first call that finds the columns for replies in a full table.
    pub(super) has_replies: AtomicBool,
    /// When a plain table was looked at. Locked during a look, so that calls share it.
    last_look: Mutex<Option<Instant>>,
    unmark_queue: UnmarkQueue,
    pub(super) write_turns: WriteTurns,
    /// The callers that are gone, and whose requests wait for a connection.
    waiting_detached: Semaphore,
    /// What to do if a table does not fit. `None`: what the database's own faults advise for a log.
    of_missing: Option<String>,
}

/// Why an attempt failed.
pub(super) type Failed = (Fault, BoxDynError);

impl<D: Dialect> Core<D> {
    pub(super) fn new(pool: Pool<D>, table: TableName) -> Self {
        let places = usize::try_from(pool.options().get_max_connections()).unwrap_or(usize::MAX);
        let options = pool.connect_options();
        let write_turns = WriteTurns::of(D::file_with_one_writer(&options), table.schema());
        Self {
            abandoned: Abandoned::new(&pool),
            waiting_detached: Semaphore::new(places.min(Semaphore::MAX_PERMITS)),
            store_id: StoreId::of(&*options).part(&table.to_string()),
            _options: options,
            pool,
            table,
            has_pooler: false,
            unknown_pooler: UnknownPooler::default(),
            plain: OnceLock::new(),
            full: OnceLock::new(),
            has_replies: AtomicBool::new(false),
            last_look: Mutex::new(None),
            unmark_queue: UnmarkQueue::default(),
            write_turns,
            of_missing: None,
        }
    }

    /// The same over another table.
    pub(super) fn with_table(&self, table: TableName) -> Self {
        Self { has_pooler: self.has_pooler, ..Self::new(self.pool.clone(), table) }
    }

    /// The same over tables of another part of the crate, which says what to do if they do not fit.
    #[cfg(feature = "inbox")]
    pub(super) fn beside(&self, table: TableName, of_missing: String) -> Self {
        Self { of_missing: Some(of_missing), ..self.with_table(table) }
    }

    /// The same behind a pooler that gives each transaction another session of the server.
    #[cfg(feature = "postgres")]
    pub(super) fn behind_pooler(&self) -> Self {
        Self { has_pooler: true, ..Self::new(self.pool.clone(), self.table.clone()) }
    }

    pub(super) fn has_pooler(&self) -> bool {
        self.has_pooler
    }

    pub(super) fn pool(&self) -> &Pool<D> {
        &self.pool
    }

    pub(super) fn table(&self) -> &TableName {
        &self.table
    }

    /// The marks that are being taken back.
    pub(super) fn unmark_queue(&self) -> &UnmarkQueue {
        &self.unmark_queue
    }

    /// The statements of the full table, if it was found.
    pub(super) fn full(&self) -> Option<&CompiledSql<D>> {
        self.full.get()
    }

    /// The statements that were compiled for this level, if any were.
    pub(super) fn compiled(&self, level: SchemaLevel) -> Option<&CompiledSql<D>> {
        self.slot(level).get()
    }

    /// The statements for marks. Only the first call looks at the table.
    pub(super) async fn mark_sql(&self) -> Result<&CompiledSql<D>, Error> {
        match self.known_mark_sql()? {
            Some(compiled) => Ok(compiled),
            None => self.recent_sql().await,
        }
    }

    /// The same, if a call has looked at the table.
    pub(super) fn known_mark_sql(&self) -> Result<Option<&CompiledSql<D>>, Error> {
        self.refuse_unknown_pooler()?;
        Ok(self.full.get().or_else(|| self.plain.get()))
    }

    /// The statements for the table as it was a second ago, or is now. Calls at once share one look.
    pub(super) async fn recent_sql(&self) -> Result<&CompiledSql<D>, Error> {
        self.refuse_unknown_pooler()?;
        if let Some(compiled) = self.full.get() {
            return Ok(compiled);
        }
        // A look whose caller is not polled must not keep the others waiting.
        let mut last_look = timeout(MAX_SHARED_LOOK, self.last_look.lock()).await.ok();
        if let Some(compiled) = self.full.get() {
            return Ok(compiled);
        }
        if let Some(compiled) = self.plain.get()
            && last_look.as_deref().copied().flatten().is_some_and(|at| at.elapsed() < LOOK_AGAIN_AFTER)
        {
            return Ok(compiled);
        }
        let looked_at = Instant::now();
        let compiled = self.current_sql().await?;
        if let Some(last_look) = &mut last_look {
            **last_look = Some(looked_at);
        }
        Ok(compiled)
    }

    /// The statements for the table as it is now. A plain table is looked at again.
    pub(super) async fn current_sql(&self) -> Result<&CompiledSql<D>, Error> {
        self.refuse_unknown_pooler()?;
        if let Some(compiled) = self.full.get() {
            return Ok(compiled);
        }
        let (found, traps) = self.look_at_table().await?;
        self.compile(&found, &traps)
    }

    /// The statements for the table as this connection sees it, inside a transaction. `None`: it does not fit.
    pub(super) async fn sql_seen_by(
        &self,
        connection: &mut D::Connection,
    ) -> Result<Option<&CompiledSql<D>>, sqlx::Error> {
        let found = D::look_at_table(connection, &self.table).await?;
        let traps = D::look_for_traps(connection, &self.table).await?;
        Ok(self.compile(&found, &traps).ok())
    }

    /// The statements for claims, which need the full table. Calls at once share the look that finds it.
    pub(super) async fn claim_sql(&self) -> Result<&CompiledSql<D>, Error> {
        let recent = self.recent_sql().await?;
        if recent.level == SchemaLevel::Full {
            return Ok(recent);
        }
        let (found, traps) = self.look_at_table().await?;
        let compiled = self.compile(&found, &traps)?;
        match compiled.level {
            SchemaLevel::Full => Ok(compiled),
            SchemaLevel::Plain => Err(table_check::no_claims(D::TABLE, &self.table, &found)),
        }
    }

    pub(super) fn compile(&self, found: &[FoundColumn], traps: &Traps) -> Result<&CompiledSql<D>, Error> {
        table_check::refuse(&traps.refusals)?;
        let level = table_check::schema_level_of(D::TABLE, &self.table, found)?;
        if level == SchemaLevel::Full && table_check::has_replies(found) {
            self.has_replies.store(true, Ordering::Relaxed);
        }
        Ok(self.slot(level).get_or_init(|| Compiled {
            level,
            verifies: traps.verifies,
            statements: D::statements(&self.pool, &self.table, level, traps),
        }))
    }

    fn slot(&self, level: SchemaLevel) -> &OnceLock<CompiledSql<D>> {
        match level {
            SchemaLevel::Plain => &self.plain,
            SchemaLevel::Full => &self.full,
        }
    }

    pub(super) async fn look_at_table(&self) -> Result<(Vec<FoundColumn>, Traps), Error> {
        self.look_at_table_for(false).await
    }

    /// `is_kept`: although the caller is gone.
    pub(super) async fn look_at_table_for(&self, is_kept: bool) -> Result<(Vec<FoundColumn>, Traps), Error> {
        let mut attempts = Attempts::new();
        loop {
            let (fault, source) = match self.connect(&attempts, is_kept).await {
                Err(failed) => failed,
                Ok(mut connection) => {
                    let look = self.look_by(&mut connection);
                    match attempts.attempt(D::ANSWERS_WITHIN, look).await {
                        Ok(Ok(found)) => return Ok(found),
                        Ok(Err(error)) => self.failed(error),
                        Err(late) => {
                            self.abandon(connection);
                            (Fault::late(), late.into())
                        }
                    }
                }
            };
            if !attempts.again_after(fault.kind).await {
                return Err(fault.of("look at the table's columns", source));
            }
        }
    }

    pub(super) async fn look_by(
        &self,
        connection: &mut PooledConnection<D>,
    ) -> Result<(Vec<FoundColumn>, Traps), sqlx::Error> {
        if !self.has_pooler && self.unknown_pooler.look(&self.pool, connection).await? {
            let traps = Traps { refusals: vec![D::POOLER.to_owned()], ..Traps::default() };
            return Ok((Vec::new(), traps));
        }
        let mut pinned = Pinned::begin(connection, self.has_pooler).await?;
        let looked = async {
            let found = D::look_at_table(pinned.connection(), &self.table).await?;
            let traps = D::look_for_traps(pinned.connection(), &self.table).await?;
            Ok((found, Traps { has_pooler: self.has_pooler, ..traps }))
        };
        let looked = looked.await;
        pinned.end(looked).await
    }

    /// Refuses all calls alike once a pooler was seen, and not only those that it hurts by chance.
    pub(super) fn refuse_unknown_pooler(&self) -> Result<(), Error> {
        if !self.unknown_pooler.is_seen() {
            return Ok(());
        }
        table_check::refuse(&[D::POOLER.to_owned()])
    }

    /// Creates the table if it is missing.
    pub(super) async fn create_table(&self) -> Result<(), Error> {
        const OPERATION: &str = "create the table";
        let mut connection =
            connection::acquire(&self.pool).await.map_err(|error| self.explained(OPERATION, error))?;
        let created = D::run(&mut connection, self.table.in_statement(D::TABLE.schema)).await;
        connection.answered_with(&created);
        let Err(error) = created else { return Ok(()) };
        // PostgreSQL refuses one of two processes that create a table at once, although each statement says
        // IF NOT EXISTS. The look needs this connection if the pool has only one.
        drop(connection);
        match self.look_at_table().await {
            Ok((found, _)) if !found.is_empty() => Ok(()),
            _ => {
                let mut fault = self.fault_of(&error);
                if fault.cause == Cause::Rights {
                    fault.advice = format!(
                        "the database user may not create a table: GRANT it CREATE on the schema (PostgreSQL) or \
                         database (MySQL), or let your migrations run\n{}",
                        self.table.in_statement(D::TABLE.schema)
                    )
                    .into();
                }
                Err(fault.of(OPERATION, error))
            }
        }
    }

    /// A connection from the pool. A caller that is gone gives up while it waits for one, unless it is kept: an
    /// outage must not collect such callers. As many as the pool has places wait all the same, because sqlx
    /// closes the connection that it tests when the waiting is given up.
    pub(super) async fn connect(
        &self,
        attempts: &Attempts,
        is_kept: bool,
    ) -> Result<PooledConnection<D>, Failed> {
        let mut acquiring = pin!(connection::acquire(&self.pool));
        let mut place = None;
        let acquiring = poll_fn(|context| match acquiring.as_mut().poll(context) {
            Poll::Ready(acquired) => Poll::Ready(Some(acquired)),
            Poll::Pending if is_kept || !is_detached() => Poll::Pending,
            Poll::Pending => {
                place = place.take().or_else(|| self.waiting_detached.try_acquire().ok());
                if place.is_some() { Poll::Pending } else { Poll::Ready(None) }
            }
        });
        match attempts.attempt(D::ANSWERS_WITHIN, acquiring).await {
            Ok(Some(Ok(connection))) => Ok(connection),
            Ok(Some(Err(error))) => {
                let (mut fault, source) = self.failed(error);
                // Nothing was sent.
                if fault.kind == FaultKind::Unanswered {
                    fault.kind = FaultKind::Passing;
                }
                fault.may_be_carried_out = false;
                Err((fault, source))
            }
            Ok(None) => {
                let fault = Fault { kind: FaultKind::Permanent, ..Fault::no_connection() };
                Err((fault, "the caller is gone".into()))
            }
            Err(late) => Err((Fault::no_connection(), late.into())),
        }
    }

    /// Gives up a connection whose server did not answer in time.
    pub(super) fn abandon(&self, connection: PooledConnection<D>) {
        if let Some(connection) = connection.into_inner() {
            self.abandoned.add(connection);
        }
    }

    pub(super) fn fault_of(&self, error: &sqlx::Error) -> Fault {
        let mut fault = D::fault_of(error, &self.table);
        if fault.cause == Cause::Pooler && !self.has_pooler {
            self.unknown_pooler.see();
        }
        if let (Cause::Table, Some(advice)) = (fault.cause, &self.of_missing) {
            fault.advice = advice.clone().into();
        }
        fault
    }

    pub(super) fn failed(&self, error: sqlx::Error) -> Failed {
        let (error, has_written) = NotRead::into_inner(error);
        let mut fault = self.fault_of(&error);
        fault.may_be_carried_out |= has_written;
        (fault, error.into())
    }

    pub(super) fn explained(&self, operation: &'static str, error: sqlx::Error) -> Error {
        self.fault_of(&error).of(operation, error)
    }
}
