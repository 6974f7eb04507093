//! Asking the database until it answers, with the same nonces each time.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use sqlx::error::BoxDynError;

use super::dialect::{Asked, Columns, Dialect, Held, Mark, NewClaim, Standing, Step};
use super::fault::Fault;
use super::{SqlLog, Statements};
use crate::error::Error;
use crate::retry::{Attempts, Cause};

/// Something to ask, as often as it takes. Invariant: to carry it out twice is to carry it out once.
pub(super) trait Question<D: Dialect>: Sync {
    /// To be read after "could not".
    fn operation(&self) -> &'static str;

    type Answer: Send;

    /// Whether it can be repeated where rows do not tell who made them.
    const NEEDS_NO_NONCE: bool = false;

    /// How many events it is about.
    fn events(&self) -> usize;

    /// `again`: an earlier attempt may have been carried out.
    fn put(
        &self,
        connection: &mut D::Connection,
        statements: &D::Statements,
        again: bool,
    ) -> impl Asked<Self::Answer>;
}

/// Whom asking again, for one event's sake, makes wait.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    WithOne,
    /// Others share the statement, or queue for the next one.
    WithAll,
}

/// Why there is no answer, after all attempts.
pub(super) struct Unanswered {
    fault: Fault,
    operation: &'static str,
    source: Arc<BoxDynError>,
}

impl Unanswered {
    /// Whether another event of the same statement could have gone through by itself.
    pub(super) fn is_about_one_event(&self) -> bool {
        self.fault.is_about_one_event
    }

    /// For each of those who asked.
    pub(super) fn to_error(&self) -> Error {
        Error::Store {
            operation: self.operation.into(),
            advice: self.fault.advice.clone(),
            source: Box::new(SharedSource(Arc::clone(&self.source))),
        }
    }
}

impl From<Unanswered> for Error {
    fn from(unanswered: Unanswered) -> Self {
        unanswered.to_error()
    }
}

/// An error of the driver that several callers have.
struct SharedSource(Arc<BoxDynError>);

impl fmt::Debug for SharedSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl fmt::Display for SharedSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl StdError for SharedSource {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&**self.0)
    }
}

impl<D: Dialect> SqlLog<D> {
    /// Asks for the events of several callers, in the table of all guarantees.
    ///
    /// With none there is nothing to ask.
    pub(super) async fn ask_for<Q: Question<D>>(&self, question: &Q) -> Result<Q::Answer, Unanswered>
    where
        Q::Answer: Default,
    {
        match self.table.full.get() {
            Some(statements) if question.events() > 0 => {
                self.ask_from(Attempts::new(), Patience::WithAll, statements, question).await
            }
            _ => Ok(Q::Answer::default()),
        }
    }

    /// Asks, and asks again after a passing error or a lost answer.
    pub(super) async fn ask<Q: Question<D>>(
        &self,
        statements: &Statements<D>,
        question: &Q,
    ) -> Result<Q::Answer, Unanswered> {
        self.ask_from(Attempts::new(), Patience::WithOne, statements, question).await
    }

    /// A connection that did not answer in time is closed: its answer may still come, and belongs to
    /// nobody.
    pub(super) async fn ask_from<Q: Question<D>>(
        &self,
        mut attempts: Attempts,
        patience: Patience,
        statements: &Statements<D>,
        question: &Q,
    ) -> Result<Q::Answer, Unanswered> {
        loop {
            let again = attempts.may_have_been_carried_out();
            let (mut fault, source): (Fault, BoxDynError) = match self.pool.acquire().await {
                Err(error) => (self.fault_of(&error), error.into()),
                Ok(mut connection) => {
                    let put = question.put(&mut connection, &statements.texts, again);
                    match attempts.attempt(D::ANSWERS_WITHIN, put).await {
                        Ok(Ok(answer)) => return Ok(answer),
                        Ok(Err(error)) => (self.fault_of(&error), error.into()),
                        Err(late) => {
                            connection.close_on_drop();
                            (Fault::late(), late.into())
                        }
                    }
                }
            };
            let has_nonces = statements.columns == Columns::Full || Q::NEEDS_NO_NONCE;
            if fault.cause == Cause::Unanswered && !has_nonces {
                fault.cause = Cause::Permanent;
            }
            let keeps_others_waiting = patience == Patience::WithAll && fault.is_about_one_event;
            if keeps_others_waiting || !attempts.again_after(fault.cause).await {
                return Err(Unanswered { fault, operation: question.operation(), source: Arc::new(source) });
            }
        }
    }
}

#[derive(Debug)]
pub(super) struct Marks<'a>(pub(super) &'a [&'a Mark]);

impl<D: Dialect> Question<D> for Marks<'_> {
    type Answer = Vec<bool>;

    fn operation(&self) -> &'static str {
        "mark the event as processed"
    }

    fn events(&self) -> usize {
        self.0.len()
    }

    fn put(
        &self,
        connection: &mut D::Connection,
        statements: &D::Statements,
        again: bool,
    ) -> impl Asked<Vec<bool>> {
        D::mark(connection, statements, self.0, again)
    }
}

#[derive(Debug)]
pub(super) struct NewClaims<'a>(pub(super) &'a [&'a NewClaim]);

impl<D: Dialect> Question<D> for NewClaims<'_> {
    type Answer = Vec<Option<u64>>;

    fn operation(&self) -> &'static str {
        "claim the event"
    }

    fn events(&self) -> usize {
        self.0.len()
    }

    fn put(
        &self,
        connection: &mut D::Connection,
        statements: &D::Statements,
        _again: bool,
    ) -> impl Asked<Vec<Option<u64>>> {
        D::claim(connection, statements, self.0)
    }
}

/// How events stand.
#[derive(Debug)]
pub(super) struct Looks<'a>(pub(super) &'a [&'a str]);

impl<D: Dialect> Question<D> for Looks<'_> {
    const NEEDS_NO_NONCE: bool = true;
    type Answer = Vec<Standing>;

    fn operation(&self) -> &'static str {
        "look at the event"
    }

    fn events(&self) -> usize {
        self.0.len()
    }

    fn put(
        &self,
        connection: &mut D::Connection,
        statements: &D::Statements,
        _again: bool,
    ) -> impl Asked<Vec<Standing>> {
        D::look(connection, statements, self.0)
    }
}

#[derive(Debug)]
pub(super) struct Settling<'a> {
    pub(super) step: Step,
    pub(super) held: &'a [&'a Held],
}

impl<D: Dialect> Question<D> for Settling<'_> {
    type Answer = Vec<bool>;

    fn operation(&self) -> &'static str {
        match self.step {
            Step::Renew => "renew the claim",
            Step::Complete => "complete the event",
            Step::Release => "release the event",
        }
    }

    fn events(&self) -> usize {
        self.held.len()
    }

    fn put(
        &self,
        connection: &mut D::Connection,
        statements: &D::Statements,
        _again: bool,
    ) -> impl Asked<Vec<bool>> {
        D::settle(connection, statements, self.step, self.held)
    }
}

/// Takes a mark back that its caller never heard of.
pub(super) struct Unmark<'a>(pub(super) &'a Mark);

impl<D: Dialect> Question<D> for Unmark<'_> {
    const NEEDS_NO_NONCE: bool = true;
    type Answer = ();

    fn operation(&self) -> &'static str {
        "take the mark back"
    }

    fn events(&self) -> usize {
        1
    }

    fn put(
        &self,
        connection: &mut D::Connection,
        statements: &D::Statements,
        _again: bool,
    ) -> impl Asked<()> {
        D::unmark(connection, statements, self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_who_shared_the_statement_gets_the_driver_s_error() {
        let lost = std::io::Error::other("connection reset");
        let unanswered =
            Unanswered { fault: Fault::late(), operation: "claim the event", source: Arc::new(lost.into()) };
        for error in [unanswered.to_error(), unanswered.to_error(), unanswered.into()] {
            assert!(error.to_string().starts_with("could not claim the event: the database did not answer"));
            let shared = error.source().unwrap();
            assert_eq!(shared.to_string(), "connection reset");
            let driver_s = shared.source().and_then(|source| source.downcast_ref::<std::io::Error>());
            assert_eq!(driver_s.unwrap().to_string(), "connection reset");
        }
    }
}
