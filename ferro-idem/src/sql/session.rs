//! Asking the database until it answers, with the same owners each time.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use sqlx::error::BoxDynError;
use sqlx::pool::PoolConnection;
use tokio::time::Instant;

use super::dialect::{Dialect, SchemaLevel};
use super::fault::Fault;
use super::request::Request;
use super::{SqlLog, Statements};
use crate::error::Error;
use crate::retry::{Attempts, FaultKind};

/// How long who leads keeps a connection.
const KEPT_FOR: Duration = Duration::from_secs(1);

/// A line to the database.
pub(super) struct Session<D: Dialect> {
    log: SqlLog<D>,
    /// For those who lead: the next statement is a moment away, and a pool asks the server whenever a
    /// connection is taken or returned.
    kept: Option<PoolConnection<D>>,
    kept_since: Instant,
    patience: Patience,
}

/// Whom asking again, for one event's sake, makes wait.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Patience {
    WithOne,
    /// Others share the statement, or queue for the next one.
    WithAll,
}

impl<D: Dialect> Session<D> {
    /// For one caller.
    pub(super) fn of_one(log: &SqlLog<D>) -> Self {
        Self { log: log.clone(), kept: None, kept_since: Instant::now(), patience: Patience::WithOne }
    }

    /// For the callers who share statements.
    pub(super) fn of_many(log: &SqlLog<D>) -> Self {
        Self { patience: Patience::WithAll, ..Self::of_one(log) }
    }

    pub(super) fn log(&self) -> &SqlLog<D> {
        &self.log
    }

    /// Asks in the table of all guarantees.
    pub(super) async fn ask<Q>(&mut self, request: &Q) -> Result<Q::Answer, Unanswered>
    where
        Q: Request<D>,
        Q::Answer: Default,
    {
        self.ask_on(Attempts::new(), request).await
    }

    /// The same, after other attempts.
    pub(super) async fn ask_on<Q>(&mut self, attempts: Attempts, request: &Q) -> Result<Q::Answer, Unanswered>
    where
        Q: Request<D>,
        Q::Answer: Default,
    {
        let table = Arc::clone(&self.log.table);
        match table.full.get() {
            Some(statements) if request.events() > 0 => self.ask_after(attempts, statements, request).await,
            _ => Ok(Q::Answer::default()),
        }
    }

    /// Asks, and asks again after a passing error or a lost answer.
    ///
    /// A connection that did not answer in time is closed: its answer may still come, and belongs to
    /// nobody.
    pub(super) async fn ask_after<Q: Request<D>>(
        &mut self,
        mut attempts: Attempts,
        statements: &Statements<D>,
        request: &Q,
    ) -> Result<Q::Answer, Unanswered> {
        let is_plain = statements.columns == SchemaLevel::Plain;
        loop {
            // A plain table could not tell whose a row is.
            let again = attempts.is_again() && !is_plain;
            let (mut fault, source) = match self.connection(&attempts).await {
                Err(failed) => failed,
                Ok(mut connection) => {
                    let put = request.put(&mut connection, &statements.texts, again);
                    match attempts.attempt(self.answers_within(request.events()), put).await {
                        Ok(Ok(answer)) => {
                            self.keep(connection);
                            return Ok(answer);
                        }
                        Ok(Err(error)) => self.log.failed(error),
                        Err(late) => {
                            connection.close_on_drop();
                            let is_about_one_event = request.events() == 1;
                            (Fault { is_about_one_event, ..Fault::late() }, late.into())
                        }
                    }
                }
            };
            if fault.kind == FaultKind::Unanswered && is_plain && !Q::NEEDS_NO_OWNER {
                fault.kind = FaultKind::Permanent;
            }
            let keeps_others_waiting = self.patience == Patience::WithAll && fault.is_about_one_event;
            let goes_on = if keeps_others_waiting {
                attempts.count(fault.kind);
                false
            } else {
                attempts.again_after(fault.kind).await
            };
            if !goes_on {
                return Err(Unanswered { fault, attempts, operation: request.operation(), source });
            }
        }
    }

    async fn connection(&mut self, attempts: &Attempts) -> Result<PoolConnection<D>, Failed> {
        if let Some(connection) = self.kept.take() {
            return Ok(connection);
        }
        self.kept_since = Instant::now();
        self.log.connected(attempts).await
    }

    /// It goes back to the pool where others may wait for a connection, and once in a while, because the
    /// pool may want to close it: it is too old, or the application shuts down.
    fn keep(&mut self, connection: PoolConnection<D>) {
        let pool = &self.log.pool;
        let has_others = pool.num_idle() > 0 || pool.size() < pool.options().get_max_connections();
        let may_stay = !pool.is_closed() && self.kept_since.elapsed() < KEPT_FOR;
        if self.patience == Patience::WithAll && has_others && may_stay {
            self.kept = Some(connection);
        }
    }

    /// How long a statement for so many events may take. For one it is put in the simplest words,
    /// which wait for a lock as long as the server does.
    fn answers_within(&self, events: usize) -> Option<Duration> {
        match self.patience {
            Patience::WithAll if events == 1 => D::ANSWERS_WITHIN.map(|within| within / 2),
            Patience::WithAll | Patience::WithOne => D::ANSWERS_WITHIN,
        }
    }
}

/// What an attempt failed by.
pub(super) type Failed = (Fault, BoxDynError);

impl<D: Dialect> SqlLog<D> {
    /// A connection of the pool.
    ///
    /// sqlx tries an idle one before it hands it out, and would wait for that answer as long as for a free
    /// connection: one that is dead without saying so would hold the call up for half a minute.
    pub(super) async fn connected(&self, attempts: &Attempts) -> Result<PoolConnection<D>, Failed> {
        match attempts.attempt(D::ANSWERS_WITHIN, self.pool.acquire()).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => {
                let (mut fault, source) = self.failed(error);
                // Nothing was asked.
                if fault.kind == FaultKind::Unanswered {
                    fault.kind = FaultKind::Passing;
                }
                Err((fault, source))
            }
            Err(late) => Err((Fault::no_connection(), late.into())),
        }
    }

    pub(super) fn failed(&self, error: sqlx::Error) -> Failed {
        (self.fault_of(&error), error.into())
    }
}

/// Why there is no answer, after all attempts, or after those that others wait for.
pub(super) struct Unanswered {
    fault: Fault,
    attempts: Attempts,
    operation: &'static str,
    source: BoxDynError,
}

impl Unanswered {
    /// Whether another event of the same statement could have gone through by itself.
    pub(super) fn is_about_one_event(&self) -> bool {
        self.fault.is_about_one_event
    }

    /// Whether it may have been carried out all the same, now or later.
    pub(super) fn may_be_carried_out(&self) -> bool {
        self.attempts.may_have_been_carried_out()
    }

    /// Those that are left, for one event alone.
    pub(super) fn attempts(&self) -> Attempts {
        self.attempts.clone()
    }

    /// For the one who asked. No `From`: the compiler would tell users of it.
    pub(super) fn into_error(self) -> Error {
        self.fault.of(self.operation, self.source)
    }

    /// For each of those who asked.
    pub(super) fn shared(self) -> impl Fn() -> Error {
        let Self { fault: Fault { advice, .. }, operation, source, .. } = self;
        let source: Arc<dyn StdError + Send + Sync> = Arc::from(source);
        move || Error::Store {
            operation: operation.into(),
            advice: advice.clone(),
            source: Box::new(Arc::clone(&source)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unanswered() -> Unanswered {
        let lost = std::io::Error::other("connection reset");
        let attempts = Attempts::new();
        Unanswered { fault: Fault::late(), attempts, operation: "claim the event", source: lost.into() }
    }

    #[test]
    fn everybody_who_shared_the_statement_gets_the_driver_s_error() {
        let for_each = unanswered().shared();
        for error in [for_each(), for_each()] {
            assert!(error.to_string().starts_with("could not claim the event: the database did not answer"));
            assert_eq!(error.source().unwrap().to_string(), "connection reset");
        }
    }

    #[test]
    fn who_asked_alone_gets_the_driver_s_error_itself() {
        let error = unanswered().into_error();
        assert!(error.source().unwrap().downcast_ref::<std::io::Error>().is_some());
    }
}
