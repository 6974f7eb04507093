//! Asking the database until it answers, with the same nonces each time.

use sqlx::error::BoxDynError;
use sqlx::pool::PoolConnection;

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

    /// `again`: an earlier attempt may have been carried out.
    fn put(
        &self,
        connection: &mut D::Connection,
        statements: &D::Statements,
        again: bool,
    ) -> impl Asked<Self::Answer>;
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
                if fault.cause == Cause::Unanswered {
                    fault.cause = Cause::Passing;
                }
                Err((fault, source))
            }
            Err(late) => Err((Fault::no_connection(), late.into())),
        }
    }

    pub(super) fn failed(&self, error: sqlx::Error) -> Failed {
        (self.fault_of(&error), error.into())
    }

    /// Asks, and asks again after a passing error or a lost answer.
    ///
    /// A connection that did not answer in time is closed: its answer may still come, and belongs to
    /// nobody.
    pub(super) async fn ask<Q: Question<D>>(
        &self,
        statements: &Statements<D>,
        question: &Q,
    ) -> Result<Q::Answer, Error> {
        let mut attempts = Attempts::new();
        loop {
            let again = attempts.may_have_been_carried_out();
            let (mut fault, source) = match self.connected(&attempts).await {
                Err(failed) => failed,
                Ok(mut connection) => {
                    let put = question.put(&mut connection, &statements.texts, again);
                    match attempts.attempt(D::ANSWERS_WITHIN, put).await {
                        Ok(Ok(answer)) => return Ok(answer),
                        Ok(Err(error)) => self.failed(error),
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
            if !attempts.again_after(fault.cause).await {
                return Err(fault.of(question.operation(), source));
            }
        }
    }
}

#[derive(Debug)]
pub(super) struct Marks<'a>(pub(super) &'a [Mark<'a>]);

impl<D: Dialect> Question<D> for Marks<'_> {
    type Answer = Vec<bool>;

    fn operation(&self) -> &'static str {
        "mark the event as processed"
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
pub(super) struct NewClaims<'a>(pub(super) &'a [NewClaim<'a>]);

impl<D: Dialect> Question<D> for NewClaims<'_> {
    type Answer = Vec<Option<u64>>;

    fn operation(&self) -> &'static str {
        "claim the event"
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
    pub(super) held: &'a [Held<'a>],
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

    fn put(
        &self,
        connection: &mut D::Connection,
        statements: &D::Statements,
        _again: bool,
    ) -> impl Asked<Vec<bool>> {
        D::settle(connection, statements, self.step, self.held)
    }
}
