//! Mark and effects in one transaction of a layer.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use tokio::runtime::Handle;

use super::begin::{LIMIT, begin_session, end};
use super::compiled::{Compiled, Lock};
use super::error::{LayerError, Meaning};
use super::layer::{DatabaseLayer, Session};
use super::log::LayerLog;
use super::table::EventTable;
use crate::error::Error;
use crate::event::EventRef;
use crate::event_table::columns::SchemaLevel;
use crate::event_table::event_state::{EventState, Mark, MarkedIn, OwnMark};
use crate::event_table::fault::Fault;
use crate::event_table::in_transaction::{
    COMMIT, MARK, MadeMark, RETRY_AFTER, ROLL_BACK, STAYS, TAKEN_BACK, answered_once, committed_early,
    mark_is_gone,
};
use crate::nesting::StoreId;
use crate::owner::Owner;
use crate::retry::{Attempts, DEADLINE, FaultKind};
use crate::transaction::{CommittedEarly, Detached, MarkOutcome, TransactionalLog};

/// An open transaction of a [`LayerLog`]. It derefs to what the body gets. Dropping it rolls back.
pub struct LayerTransaction<L: DatabaseLayer>(Open<L>);

/// Without a `Drop` of its own, so that an end that gets no answer does not begin another one. Dropped, its session is
/// closed.
struct Open<L: DatabaseLayer> {
    /// `None` after its end.
    session: Option<L::Session>,
    table: Arc<EventTable>,
    /// The event that this transaction marked.
    made: Option<MadeMark>,
    /// Declared after the session, so that it is dropped when the rollback is on its way.
    lock: Lock,
}

impl<L: DatabaseLayer> Open<L> {
    fn session(&mut self) -> Result<&mut L::Session, LayerError> {
        self.session.as_mut().ok_or_else(|| LayerError::new(Meaning::Lost, "the transaction has ended"))
    }

    async fn try_mark(&mut self, mark: &Mark) -> Result<MarkOutcome, Failed> {
        let table = Arc::clone(&self.table);
        let mut sql = if let Some(sql) = table.recent() {
            sql
        } else {
            let sql = table.look(self.session()?).await.map_err(Failed::Final)?;
            // A snapshot that the look took would hide what is committed from now on.
            self.restart().await?;
            sql
        };
        let marked = match sql.mark_in(self.session()?, mark).await {
            // The row that kept the insert out may have been deleted since.
            Err(error) if error.is_row_not_found() => sql.mark_in(self.session()?, mark).await?,
            marked => marked?,
        };
        let (lock, is_locked, has_row) = match marked {
            MarkedIn::Marked(lock) => (lock, false, false),
            MarkedIn::RowExists(lock) => (lock, false, true),
            MarkedIn::Locked => (None, true, true),
        };
        self.lock = lock;
        if has_row {
            if sql.level == SchemaLevel::Plain {
                // The table may have been upgraded since it was looked at, and the row may be a claim.
                sql = table.look(self.session()?).await.map_err(Failed::Final)?;
            }
            if let Some(outcome) = self.look_at_row(sql, mark, is_locked).await? {
                return Ok(outcome);
            }
        }
        self.made = Some(MadeMark { mark: mark.clone(), level: sql.level, is_taken_over: has_row });
        Ok(MarkOutcome::First)
    }

    /// `None`: this transaction has taken the event over.
    async fn look_at_row(
        &mut self,
        sql: &Compiled,
        mark: &Mark,
        is_locked: bool,
    ) -> Result<Option<MarkOutcome>, LayerError> {
        let session = self.session()?;
        match sql.look(session, &mark.id).await? {
            EventState::Processed => {
                sql.outlast_failover(session).await?;
                Ok(Some(MarkOutcome::Processed))
            }
            EventState::Claimed { left } => Ok(Some(MarkOutcome::InProgress { retry_after: left })),
            // Another transaction has the event.
            EventState::Free if is_locked => Ok(Some(MarkOutcome::InProgress { retry_after: RETRY_AFTER })),
            EventState::Free => {
                if sql.take_over(session, mark).await? {
                    return Ok(None);
                }
                // Another delivery claimed it a moment ago, or something keeps the row as it is.
                if sql.verifies && sql.look(session, &mark.id).await? == EventState::Free {
                    return Err(LayerError::row_not_found());
                }
                Ok(Some(MarkOutcome::InProgress { retry_after: RETRY_AFTER }))
            }
        }
    }

    /// Begins a new transaction on the same connection.
    async fn restart(&mut self) -> Result<(), LayerError> {
        self.lock = None;
        let restart = self.table.engine.restart();
        self.session()?.run(&restart).await
    }

    /// Where the mark is. A database may have rolled back by itself, and a body may have committed.
    async fn own_mark(&mut self, made: Option<&MadeMark>) -> Result<OwnMark, LayerError> {
        let Some(MadeMark { mark, level, .. }) = made else { return Ok(OwnMark::Held) };
        let table = Arc::clone(&self.table);
        let Some(sql) = table.compiled(*level) else { return Ok(OwnMark::Gone) };
        sql.own_mark(self.session()?, mark).await
    }

    /// A lost answer leaves open whether the transaction was committed. The next delivery finds the mark, or runs again.
    async fn commit(mut self) -> Result<(), Error> {
        let committing = async move {
            let made = self.made.take();
            let table = Arc::clone(&self.table);
            match self.own_mark(made.as_ref()).await {
                Ok(OwnMark::Held) => {
                    let Some(session) = self.session.take() else { return Ok(()) };
                    let committed = session.commit().await;
                    drop(self.lock.take());
                    committed.map_err(|error| {
                        let fault = table.fault_of(&error);
                        error.of_commit(fault, COMMIT)
                    })
                }
                Ok(OwnMark::Gone) => {
                    self.end_by("BEGIN").await;
                    Err(mark_is_gone())
                }
                Ok(OwnMark::Committed) => {
                    // The rest belongs to what is committed already.
                    self.end_by("COMMIT; BEGIN").await;
                    Err(committed_early())
                }
                Err(error) => {
                    self.end_by("").await;
                    // Only a transaction that failed refuses to be read.
                    let has_failed = error.code().is_some_and(str::is_empty);
                    let fault = if has_failed { Fault::rolled_back() } else { table.fault_of(&error) };
                    Err(fault.of(COMMIT, error.source))
                }
            }
        };
        answered_once(COMMIT, Some(DEADLINE), committing).await
    }

    async fn roll_back(mut self) -> Result<(), Error> {
        let rolling_back = async move {
            let made = self.made.take();
            // In a transaction that failed nothing can be read, and it is still the same.
            let own_mark = self.own_mark(made.as_ref()).await.unwrap_or(OwnMark::Held);
            let Some(made) = made.filter(|_| own_mark == OwnMark::Committed) else {
                if own_mark == OwnMark::Gone {
                    self.end_by("BEGIN").await;
                    return Ok(());
                }
                let Some(session) = self.session.take() else { return Ok(()) };
                let rolled_back = session.roll_back().await;
                drop(self.lock.take());
                return rolled_back.map_err(|error| self.table.explained(ROLL_BACK, error));
            };
            if let Some(session) = &mut self.session {
                drop(session.run("ROLLBACK").await);
            }
            let of_mark = self.take_mark_back(&made).await;
            self.end_by("BEGIN").await;
            Err(Fault::committed_early(of_mark).of(ROLL_BACK, CommittedEarly))
        };
        answered_once(ROLL_BACK, LIMIT, rolling_back).await
    }

    /// Says what became of the mark. It is outside of a transaction.
    async fn take_mark_back(&mut self, MadeMark { mark, level, is_taken_over }: &MadeMark) -> &'static str {
        let table = Arc::clone(&self.table);
        let sql = table.compiled(*level).filter(|_| *level == SchemaLevel::Full);
        let (Some(sql), Some(session)) = (sql, &mut self.session) else { return STAYS };
        let taken_back =
            if *is_taken_over { sql.give_back(session, mark).await } else { sql.unmark(session, mark).await };
        match taken_back {
            Ok(()) => TAKEN_BACK,
            Err(_) => STAYS,
        }
    }

    /// Ends what the body left open. The layer believes that its transaction is still open, so that it gets one to roll
    /// back.
    async fn end_by(&mut self, statements: &str) {
        if let Some(mut session) = self.session.take() {
            if !statements.is_empty() {
                drop(session.run(statements).await);
            }
            drop(end(session).await);
        }
        drop(self.lock.take());
    }

    /// Moves everything out, so that dropping what is left does nothing.
    fn take(&mut self) -> Self {
        Self {
            session: self.session.take(),
            table: Arc::clone(&self.table),
            made: self.made.take(),
            lock: self.lock.take(),
        }
    }
}

/// A transaction that nobody ended: the handler panicked, or its client hung up.
impl<L: DatabaseLayer> Drop for LayerTransaction<L> {
    fn drop(&mut self) {
        if self.0.session.is_some()
            && let Ok(runtime) = Handle::try_current()
        {
            let open = self.0.take();
            runtime.spawn(async move { drop(open.roll_back().await) });
        }
    }
}

/// Why a mark failed.
enum Failed {
    Error(LayerError),
    /// It fails however often it is tried again.
    Final(Error),
}

impl From<LayerError> for Failed {
    fn from(error: LayerError) -> Self {
        Self::Error(error)
    }
}

impl<L: DatabaseLayer> Deref for LayerTransaction<L> {
    type Target = <L::Session as Session>::Target;

    fn deref(&self) -> &Self::Target {
        let Some(session) = &self.0.session else { unreachable!("only its end takes it") };
        session.target()
    }
}

impl<L: DatabaseLayer> DerefMut for LayerTransaction<L> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        let Some(session) = &mut self.0.session else { unreachable!("only its end takes it") };
        session.target_mut()
    }
}

impl<L: DatabaseLayer> fmt::Debug for LayerTransaction<L> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("LayerTransaction")
            .field("layer", &L::NAME)
            .field("table", &self.0.table.name)
            .finish_non_exhaustive()
    }
}

impl<L: DatabaseLayer> TransactionalLog for LayerLog<L> {
    type Transaction = LayerTransaction<L>;

    fn begin(&self) -> Detached<LayerTransaction<L>> {
        let (layer, table) = (Arc::clone(&self.layer), Arc::clone(&self.table));
        Box::pin(async move {
            let session = begin_session(&layer, &table).await?;
            Ok(LayerTransaction(Open { session: Some(session), table, made: None, lock: None }))
        })
    }

    /// After a deadlock or a serialization failure, the transaction begins again: the mark comes first, so nothing else
    /// is lost. A lost connection is an error, because it took the transaction along.
    async fn try_mark_in(
        &self,
        transaction: &mut LayerTransaction<L>,
        event: EventRef<'_>,
    ) -> Result<MarkOutcome, Error> {
        let mark = Mark::new(event, Owner::random()?);
        let mut attempts = Attempts::new();
        loop {
            let (fault, source) = match attempts.attempt(LIMIT, transaction.0.try_mark(&mark)).await {
                Ok(Ok(outcome)) => return Ok(outcome),
                Ok(Err(Failed::Final(error))) => return Err(error),
                Ok(Err(Failed::Error(error))) => (self.table.fault_of(&error), error.source),
                Err(late) => (Fault::late(), late.into()),
            };
            if fault.kind != FaultKind::Passing || !attempts.again_after(fault.kind).await {
                return Err(fault.of(MARK, source));
            }
            let restarting =
                async { transaction.0.restart().await.map_err(|error| self.table.explained(MARK, error)) };
            answered_once(MARK, LIMIT, restarting).await?;
        }
    }

    fn commit(mut transaction: LayerTransaction<L>) -> Detached<()> {
        Box::pin(transaction.0.take().commit())
    }

    fn rollback(mut transaction: LayerTransaction<L>) -> Detached<()> {
        Box::pin(transaction.0.take().roll_back())
    }

    fn store_id(&self) -> StoreId {
        StoreId::of(&*self.table)
    }
}
