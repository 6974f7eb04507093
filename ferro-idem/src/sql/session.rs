//! Sends a request until the database answers, with the same owners each time.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use sqlx::error::BoxDynError;
use tokio::time::Instant;

use super::columns::SchemaLevel;
use super::connection::{PooledConnection, close_dead_later};
use super::core::{Compiled, Core, Failed};
use super::dialect::Dialect;
use super::fault::{Cause, Fault};
use super::pooler::Pinned;
use super::request::Request;
use crate::error::Error;
use crate::retry::{Attempt, Attempts, FaultKind};

/// How long a batch's session keeps its connection.
const KEEP_CONNECTION: Duration = Duration::from_secs(1);

/// The retrying conversation with the database, for one caller or for the batches of one leader.
pub(super) struct Session<D: Dialect> {
    core: Arc<Core<D>>,
    /// The connection of the last request, in a batch's session. The next request is a moment away, and a
    /// pool tests a connection at the server each time that it is taken or returned.
    kept: Option<PooledConnection<D>>,
    kept_since: Instant,
    audience: Audience,
}

/// Who waits while one event's statement is repeated.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Audience {
    OneCaller,
    /// Other callers share the statement, or queue for the next one.
    Batch,
}

impl<D: Dialect> Session<D> {
    pub(super) fn for_caller(core: &Arc<Core<D>>) -> Self {
        Self { core: Arc::clone(core), kept: None, kept_since: Instant::now(), audience: Audience::OneCaller }
    }

    pub(super) fn for_batches(core: &Arc<Core<D>>) -> Self {
        Self { audience: Audience::Batch, ..Self::for_caller(core) }
    }

    pub(super) fn core(&self) -> &Arc<Core<D>> {
        &self.core
    }

    /// Sends a request to the full table.
    pub(super) async fn send<R>(&mut self, request: &R) -> Result<R::Answer, RequestFailed>
    where
        R: Request<D>,
        R::Answer: Default,
    {
        self.send_after(&mut Attempts::new(), request).await
    }

    /// Sends a request to the full table, after other attempts.
    pub(super) async fn send_after<R>(
        &mut self,
        attempts: &mut Attempts,
        request: &R,
    ) -> Result<R::Answer, RequestFailed>
    where
        R: Request<D>,
        R::Answer: Default,
    {
        let core = Arc::clone(&self.core);
        match core.full() {
            Some(sql) if request.events() > 0 => self.send_with(sql, attempts, request).await,
            _ => Ok(R::Answer::default()),
        }
    }

    /// Sends a request with these statements, again after a passing error or a lost answer.
    ///
    /// A connection that did not answer in time is closed: its answer may still arrive, and belongs to no
    /// request.
    pub(super) async fn send_with<S: Sync, R: Request<D, S>>(
        &mut self,
        sql: &Compiled<S>,
        attempts: &mut Attempts,
        request: &R,
    ) -> Result<R::Answer, RequestFailed> {
        let is_plain = sql.level == SchemaLevel::Plain;
        let mut has_missed_a_row = false;
        loop {
            // The rows of a plain table do not tell who made them.
            let attempt = if is_plain { Attempt::First } else { attempts.next() };
            let (mut fault, source) = match self.connection(attempts, request.is_sent_without_callers()).await
            {
                Err(failed) => failed,
                Ok(mut connection) => {
                    let sent = async {
                        let _turn =
                            if R::ONLY_READS { None } else { Some(self.core.write_turns.next().await) };
                        let mut pinned = Pinned::begin(&mut connection, self.core.has_pooler()).await?;
                        let answer = request.send(pinned.connection(), &sql.statements, attempt).await;
                        pinned.end(answer).await
                    };
                    match attempts.attempt(self.answers_within(request.events()), sent).await {
                        Ok(Ok(answer)) => {
                            self.keep(connection);
                            return Ok(answer);
                        }
                        // The row may have been deleted since its statement found it: by a purge, or because another
                        // delivery's mark was taken back.
                        Ok(Err(sqlx::Error::RowNotFound)) if !has_missed_a_row => {
                            has_missed_a_row = true;
                            attempts.count(FaultKind::Passing);
                            self.keep(connection);
                            continue;
                        }
                        // Nothing in this table keeps a row out.
                        Ok(Err(error @ sqlx::Error::RowNotFound)) if !sql.verifies => {
                            (Fault::deleted_meanwhile(), error.into())
                        }
                        Ok(Err(error)) => {
                            let failed = self.core.failed(error);
                            if failed.0.cause == Cause::ReadOnly {
                                connection.close();
                            } else if self.goes_on_with_parts(&failed.0, request.events()) {
                                self.keep(connection);
                            }
                            failed
                        }
                        Err(late) => {
                            self.core.abandon(connection);
                            // After a failover, the others are dead as well.
                            close_dead_later(self.core.pool());
                            let is_about_one_event = request.events() == 1;
                            (Fault { is_about_one_event, ..Fault::late() }, late.into())
                        }
                    }
                }
            };
            if fault.kind == FaultKind::Unanswered && is_plain && !R::NEEDS_NO_OWNER {
                fault.kind = FaultKind::Permanent;
            }
            if fault.may_be_carried_out {
                attempts.doubt();
            }
            let delays_others = self.audience == Audience::Batch && fault.is_about_one_event;
            let goes_on = if delays_others {
                attempts.count(fault.kind);
                false
            } else {
                attempts.again_after(fault.kind).await
            };
            if !goes_on {
                let attempts = attempts.clone();
                return Err(RequestFailed { fault, attempts, operation: request.operation(), source });
            }
        }
    }

    /// A request that may have been carried out goes on without its caller, until its outcome is known.
    async fn connection(
        &mut self,
        attempts: &Attempts,
        is_kept: bool,
    ) -> Result<PooledConnection<D>, Failed> {
        if let Some(connection) = self.kept.take() {
            return Ok(connection);
        }
        self.kept_since = Instant::now();
        let is_kept = is_kept || self.audience == Audience::Batch || attempts.may_have_been_carried_out();
        self.core.connect(attempts, is_kept).await
    }

    /// Keeps the connection, unless other callers may wait for one. Returns it once in a while all the same,
    /// because the pool may want to close it: it is too old, or the application shuts down.
    fn keep(&mut self, connection: PooledConnection<D>) {
        let pool = self.core.pool();
        let has_others = pool.num_idle() > 0 || pool.size() < pool.options().get_max_connections();
        let may_stay = !pool.is_closed() && self.kept_since.elapsed() < KEEP_CONNECTION;
        if self.audience == Audience::Batch && has_others && may_stay {
            self.kept = Some(connection);
        }
    }

    /// Whether the server refused a batch for one of its events. Its parts are sent next, over the same connection:
    /// to return it and take it again are two more round trips.
    fn goes_on_with_parts(&self, fault: &Fault, events: usize) -> bool {
        self.audience == Audience::Batch && fault.is_about_one_event && events > 1
    }

    /// The time limit of a statement. The statement for a single event waits for locks as long as the server
    /// does, so that a batch's session gives it half the time.
    fn answers_within(&self, events: usize) -> Option<Duration> {
        match self.audience {
            Audience::Batch if events == 1 => D::ANSWERS_WITHIN.map(|limit| limit / 2),
            Audience::Batch | Audience::OneCaller => D::ANSWERS_WITHIN,
        }
    }
}

/// A request without an answer, after all attempts, or after those that a batch may wait for.
pub(super) struct RequestFailed {
    fault: Fault,
    attempts: Attempts,
    operation: &'static str,
    source: BoxDynError,
}

impl RequestFailed {
    /// Whether another event of the same statement could have gone through without this one.
    pub(super) fn is_about_one_event(&self) -> bool {
        self.fault.is_about_one_event
    }

    /// Whether the request may have been carried out, or may still be.
    pub(super) fn may_be_carried_out(&self) -> bool {
        self.attempts.may_have_been_carried_out()
    }

    /// Whether it fails until somebody changes the tables, the user's rights or the process.
    #[cfg(feature = "inbox")]
    pub(super) fn needs_help(&self) -> bool {
        let is_closed = matches!(self.source.downcast_ref(), Some(sqlx::Error::PoolClosed));
        is_closed || matches!(self.fault.cause, Cause::Table | Cause::Rights)
    }

    /// The same with a mark that says so.
    #[cfg(feature = "inbox")]
    pub(super) fn marked(self) -> Self {
        Self { source: NeedsHelp(self.source).into(), ..self }
    }

    /// Whether the request fails however often it is repeated.
    pub(super) fn is_permanent(&self) -> bool {
        self.fault.kind == FaultKind::Permanent
    }

    /// Nothing was sent, because of marks that are being taken back.
    pub(super) fn not_sent(operation: &'static str, why: &'static str) -> Self {
        Self { fault: Fault::no_connection(), attempts: Attempts::new(), operation, source: why.into() }
    }

    /// The error for a single caller. Not a `From`, because rustc would suggest it to users.
    pub(super) fn into_error(self) -> Error {
        self.fault.of(self.operation, self.source)
    }

    /// Makes an error for each caller of a batch.
    pub(super) fn into_errors(self) -> impl Fn() -> Error {
        let Self { fault: Fault { advice, .. }, operation, source, .. } = self;
        let source: Arc<dyn StdError + Send + Sync> = Arc::from(source);
        move || Error::Store {
            operation: operation.into(),
            advice: advice.clone(),
            source: Box::new(Arc::clone(&source)),
        }
    }
}

/// The source of an error that stays until somebody changes the tables, the user's rights or the process.
#[cfg(feature = "inbox")]
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct NeedsHelp(pub(super) BoxDynError);

#[cfg(test)]
mod tests {
    use super::*;

    fn failed() -> RequestFailed {
        let lost = std::io::Error::other("connection reset");
        let attempts = Attempts::new();
        RequestFailed { fault: Fault::late(), attempts, operation: "claim the event", source: lost.into() }
    }

    #[test]
    fn every_caller_of_a_batch_gets_the_driver_s_error() {
        let error_for_each = failed().into_errors();
        for error in [error_for_each(), error_for_each()] {
            assert!(error.to_string().starts_with("could not claim the event: the database did not answer"));
            assert_eq!(error.source().unwrap().to_string(), "connection reset");
        }
    }

    #[test]
    fn a_single_caller_gets_the_driver_s_error_itself() {
        let error = failed().into_error();
        assert!(error.source().unwrap().downcast_ref::<std::io::Error>().is_some());
    }
}
