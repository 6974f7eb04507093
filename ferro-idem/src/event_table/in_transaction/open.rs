//! An open transaction: it marks an event, and ends.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use super::connection::{Answer, Connection, RequestError, Session};
use super::kept_reply::KeptReply;
use super::steps::{Compiled, TransactionSteps};
use super::{
    COMMIT, MARK, MadeMark, RETRY_AFTER, ROLL_BACK, STAYS, TAKEN_BACK, answered_once, committed_early,
    mark_is_gone,
};
use crate::error::Error;
use crate::event::EventRef;
use crate::event_table::columns::SchemaLevel;
use crate::event_table::event_state::{EventState, Mark, MarkedIn, OwnMark};
use crate::event_table::fault::{Cause, Fault};
use crate::event_table::sqlite::in_flight::EventLock;
use crate::owner::Owner;
use crate::retry::{Attempts, DEADLINE, FaultKind, answer_within};
use crate::transaction::{CommittedEarly, MarkOutcome};

/// What a transaction asks of the table of its events.
pub(crate) trait TransactionTable<S: Session>: Send + Sync + 'static {
    type Steps: TransactionSteps;

    /// How long an answer is waited for. `None` if none can be lost on the way.
    const LIMIT: Option<Duration>;

    /// What a transaction begins with.
    fn begin(&self) -> &'static str;

    /// The statements for a mark, if they are known.
    fn for_mark(&self) -> Result<Option<&Compiled<Self::Steps>>, Error>;

    /// The same after a look at the table. `true`: this session has read the catalogue for it.
    fn look_for_mark<'t>(
        &'t self,
        session: &mut S,
    ) -> impl Answer<(&'t Compiled<Self::Steps>, bool), Failed<S::Error>>;

    /// The statements for the table as this session sees it now. `None`: it does not fit any more.
    fn seen_by<'t>(
        &'t self,
        session: &mut S,
    ) -> impl Answer<Option<&'t Compiled<Self::Steps>>, Failed<S::Error>>;

    /// The statements that were compiled for this level, if any were.
    fn compiled(&self, level: SchemaLevel) -> Option<&Compiled<Self::Steps>>;

    fn fault_of(&self, error: &S::Error) -> Fault;

    /// Deletes the reply that was committed too early with a mark.
    fn drop_reply(
        &self,
        session: &mut S,
        steps: &Self::Steps,
        mark: &Mark,
        kept: KeptReply,
    ) -> impl Answer<(), S::Error> {
        let _ = (session, steps, mark, kept);
        ready(Ok(()))
    }

    /// Takes a mark back in the background. Returns what becomes of it, or `None` if nothing can.
    fn take_back_later(self: &Arc<Self>, mark: &Mark) -> Option<&'static str> {
        let _ = mark;
        None
    }

    fn explained(&self, operation: &'static str, error: S::Error) -> Error {
        self.fault_of(&error).of(operation, error.into_source())
    }
}

/// Why a mark failed.
pub(crate) enum Failed<E> {
    Error(E),
    /// It fails however often it is tried again.
    Final(Error),
}

impl<E> From<E> for Failed<E> {
    fn from(error: E) -> Self {
        Self::Error(error)
    }
}

/// An open transaction.
///
/// Without a `Drop` of its own, so that an end that gets no answer does not begin another one. Dropped, its session is
/// closed or rolls back.
pub(crate) struct EventTransaction<S: Session, T> {
    /// `None` after its end.
    session: Option<S>,
    pub(crate) table: Arc<T>,
    /// The session refused the mark because it is read-only. It may lead to a server that was the primary, so it does not
    /// go back into its pool.
    is_read_only: bool,
    /// The event that this transaction marked.
    pub(crate) made: Option<MadeMark>,
    pub(crate) kept: KeptReply,
    /// Declared after the session, so that it is dropped when the rollback is on its way. Only then may the next
    /// delivery try.
    lock: Option<EventLock>,
}

impl<S: Session, T: TransactionTable<S>> EventTransaction<S, T> {
    pub(crate) fn new(session: S, table: Arc<T>) -> Self {
        Self {
            session: Some(session),
            table,
            is_read_only: false,
            made: None,
            kept: KeptReply::Unknown,
            lock: None,
        }
    }

    /// Whether something is left to do if nobody ends this, beside a rollback.
    pub(crate) fn needs_end(&self) -> bool {
        self.made.is_some() || self.is_read_only
    }

    /// `None` after its end.
    pub(crate) fn session(&self) -> Option<&S> {
        self.session.as_ref()
    }

    pub(crate) fn session_mut(&mut self) -> Option<&mut S> {
        self.session.as_mut()
    }

    /// Moves everything out, so that dropping what is left does nothing.
    pub(crate) fn take(&mut self) -> Self {
        Self {
            session: self.session.take(),
            table: Arc::clone(&self.table),
            is_read_only: self.is_read_only,
            made: self.made.take(),
            kept: self.kept,
            lock: self.lock.take(),
        }
    }

    /// After a deadlock or a serialization failure, the transaction begins again: the mark comes first, so nothing else
    /// is lost. A lost connection is an error, because it took the transaction along.
    pub(crate) async fn try_mark(&mut self, event: EventRef<'_>) -> Result<MarkOutcome, Error> {
        let mark = Mark::new(event, Owner::random()?);
        let table = Arc::clone(&self.table);
        let mut attempts = Attempts::new();
        loop {
            let (fault, source) = match attempts.attempt(T::LIMIT, Box::pin(self.try_once(&mark))).await {
                Ok(Ok(outcome)) => return Ok(outcome),
                Ok(Err(Failed::Final(error))) => return Err(error),
                Ok(Err(Failed::Error(error))) => (table.fault_of(&error), error.into_source()),
                Err(late) => (Fault::late(), late.into()),
            };
            if fault.kind != FaultKind::Passing || !attempts.again_after(fault.kind).await {
                self.is_read_only = fault.cause == Cause::ReadOnly;
                return Err(fault.of(MARK, source));
            }
            let restarting = async { self.restart().await.map_err(|error| table.explained(MARK, error)) };
            answered_once(MARK, T::LIMIT, restarting).await?;
        }
    }

    async fn try_once(&mut self, mark: &Mark) -> Result<MarkOutcome, Failed<S::Error>> {
        let table = Arc::clone(&self.table);
        let Some(session) = &mut self.session else { return Err(Failed::Final(has_ended())) };
        let mut sql = if let Some(sql) = table.for_mark().map_err(Failed::Final)? {
            sql
        } else {
            // On the heap, because the future is large and rarely needed.
            let (sql, has_looked) = Box::pin(table.look_for_mark(session)).await?;
            if has_looked {
                // A snapshot that the look took would hide what is committed from now on.
                self.restart().await?;
            }
            sql
        };
        let Some(session) = &mut self.session else { return Err(Failed::Final(has_ended())) };
        let marked = match sql.statements.mark_in(session, mark).await {
            // The row that kept the insert out may have been deleted since.
            Err(error) if error.is_row_not_found() => sql.statements.mark_in(session, mark).await?,
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
                sql = Box::pin(table.seen_by(session)).await?.unwrap_or(sql);
            }
            if let Some(outcome) = look_at_row(session, sql, mark, is_locked).await? {
                return Ok(outcome);
            }
        }
        self.made = Some(MadeMark { mark: mark.clone(), level: sql.level, is_taken_over: has_row });
        Ok(MarkOutcome::First)
    }

    /// Begins a new transaction on the same connection. Both statements are one message, so that dropping the future
    /// leaves no half of it.
    async fn restart(&mut self) -> Result<(), S::Error> {
        self.lock = None;
        let restart = format!("ROLLBACK; {}", self.table.begin());
        match &mut self.session {
            Some(session) => session.run(&restart).await,
            None => Ok(()),
        }
    }

    /// Where the mark is. A database may have rolled back by itself: after a deadlock, on a full disk, in PostgreSQL
    /// after any statement that failed. If the body ignored that error, a commit would report an event as processed that
    /// left no trace. And a body may have committed, so that a rollback would leave its mark behind.
    async fn own_mark(&mut self, made: Option<&MadeMark>) -> Result<OwnMark, S::Error> {
        let Some(MadeMark { mark, level, .. }) = made else { return Ok(OwnMark::Held) };
        let table = Arc::clone(&self.table);
        match (table.compiled(*level), &mut self.session) {
            (Some(sql), Some(session)) => sql.statements.own_mark(session, mark).await,
            _ => Ok(OwnMark::Gone),
        }
    }

    /// A lost answer leaves open whether the transaction was committed. The next delivery finds the mark, or runs again.
    pub(crate) async fn commit(mut self) -> Result<(), Error> {
        let committing = async move {
            let table = Arc::clone(&self.table);
            let own_mark = match self.kept {
                KeptReply::WithMark => Ok(OwnMark::Held),
                KeptReply::Unknown => {
                    let made = self.made.take();
                    self.own_mark(made.as_ref()).await
                }
                KeptReply::Failed => {
                    drop(Box::pin(self.roll_back()).await);
                    return Err(Fault::rolled_back().of(COMMIT, "the reply is not in the transaction"));
                }
            };
            match own_mark {
                Ok(OwnMark::Held) => {
                    let Some(session) = self.session.take() else { return Ok(()) };
                    let committed = session.commit().await;
                    drop(self.lock.take());
                    committed.map_err(|error| table.fault_of(&error).of_commit(COMMIT, error))
                }
                Ok(OwnMark::Gone) => {
                    self.end_by("ROLLBACK").await;
                    Err(mark_is_gone())
                }
                Ok(OwnMark::Committed) => {
                    // The rest belongs to what is committed already.
                    self.end_by("COMMIT").await;
                    Err(committed_early())
                }
                Err(error) => {
                    self.end().await;
                    // Only a transaction that failed refuses to be read.
                    let has_failed = error.code().is_some_and(|code| code.is_empty());
                    let fault = if has_failed { Fault::rolled_back() } else { table.fault_of(&error) };
                    Err(fault.of(COMMIT, error.into_source()))
                }
            }
        };
        answered_once(COMMIT, T::LIMIT.map(|_| DEADLINE), committing).await
    }

    pub(crate) async fn roll_back(mut self) -> Result<(), Error> {
        let rolling_back = async move {
            let made = self.made.take();
            // In a transaction that failed nothing can be read, and it is still the same.
            let own_mark = self.own_mark(made.as_ref()).await.unwrap_or(OwnMark::Held);
            let Some(made) = made.filter(|_| own_mark == OwnMark::Committed) else {
                if own_mark == OwnMark::Gone {
                    self.end_by("ROLLBACK").await;
                    return Ok(());
                }
                let Some(session) = self.session.take() else { return Ok(()) };
                if self.is_read_only {
                    session.close();
                    return Ok(());
                }
                let rolled_back = session.roll_back().await;
                drop(self.lock.take());
                return rolled_back.map_err(|error| self.table.explained(ROLL_BACK, error));
            };
            self.run_whatever_it_says("ROLLBACK").await;
            let of_mark = Box::pin(self.take_mark_back(&made)).await;
            self.end_by("ROLLBACK").await;
            Err(Fault::committed_early(of_mark).of(ROLL_BACK, CommittedEarly))
        };
        answered_once(ROLL_BACK, T::LIMIT, rolling_back).await
    }

    /// Says what became of the mark. It is outside of a transaction.
    async fn take_mark_back(&mut self, MadeMark { mark, level, is_taken_over }: &MadeMark) -> &'static str {
        let table = Arc::clone(&self.table);
        let sql = table.compiled(*level).filter(|_| *level == SchemaLevel::Full);
        let (Some(sql), Some(session)) = (sql, &mut self.session) else { return STAYS };
        let steps = &sql.statements;
        let taken_back = if *is_taken_over {
            // Before the next delivery may complete the event without one.
            match table.drop_reply(session, steps, mark, self.kept).await {
                Ok(()) => steps.give_back(session, mark).await,
                failed => failed,
            }
        } else {
            steps.unmark_one(session, mark).await
        };
        match taken_back {
            Ok(()) => TAKEN_BACK,
            // The next delivery may be looking at the row.
            Err(_) if !is_taken_over => table.take_back_later(mark).unwrap_or(STAYS),
            Err(_) => STAYS,
        }
    }

    async fn run_whatever_it_says(&mut self, statement: &str) {
        if let Some(session) = &mut self.session {
            drop(session.run(statement).await);
        }
    }

    /// Ends what the body left open. The driver believes that its transaction is still open, so that it gets one to roll
    /// back. If no transaction is open, a database may refuse the statement.
    async fn end_by(&mut self, statement: &str) {
        self.run_whatever_it_says(statement).await;
        self.run_whatever_it_says("BEGIN").await;
        self.end().await;
    }

    /// A session that does not answer is dropped, which closes its connection.
    async fn end(&mut self) {
        if let Some(session) = self.session.take() {
            drop(answer_within(T::LIMIT, session.roll_back()).await);
        }
        drop(self.lock.take());
    }
}

/// `None`: this transaction has taken the event over.
async fn look_at_row<C: Connection, S: TransactionSteps>(
    session: &mut C,
    sql: &Compiled<S>,
    mark: &Mark,
    is_locked: bool,
) -> Result<Option<MarkOutcome>, C::Error> {
    let steps = &sql.statements;
    match steps.look(session, &mark.id).await? {
        EventState::Processed => {
            steps.outlast_failover(session).await?;
            Ok(Some(MarkOutcome::Processed))
        }
        EventState::Claimed { left } => Ok(Some(MarkOutcome::InProgress { retry_after: left })),
        // Another transaction has the event.
        EventState::Free if is_locked => Ok(Some(MarkOutcome::InProgress { retry_after: RETRY_AFTER })),
        EventState::Free => {
            if steps.take_over(session, mark).await? {
                return Ok(None);
            }
            // Another delivery claimed it a moment ago, or something keeps the row as it is.
            if sql.verifies && steps.look(session, &mark.id).await? == EventState::Free {
                return Err(C::Error::row_not_found());
            }
            Ok(Some(MarkOutcome::InProgress { retry_after: RETRY_AFTER }))
        }
    }
}

fn has_ended() -> Error {
    Error::store(MARK, "the transaction has ended")
}
