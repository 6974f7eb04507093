//! The requests to a database.

use super::dialect::{Dialect, QueryFuture};
use super::event_state::{ClaimStep, Claimed, EventState, HeldClaim, Mark, NewClaim};
use crate::retry::Attempt;

/// A request that is sent until it is answered. Invariant: carrying it out twice changes no more than
/// carrying it out once.
pub(super) trait Request<D: Dialect>: Sync {
    /// For error messages, to be read after "could not".
    fn operation(&self) -> &'static str;

    type Answer: Send;

    /// Whether it can be repeated in a plain table, whose rows do not tell who made them.
    const NEEDS_NO_OWNER: bool = false;

    /// The number of events in the request.
    fn events(&self) -> usize;

    /// Sends it once. Over a plain table every attempt is [`Attempt::First`].
    fn send(
        &self,
        connection: &mut D::Connection,
        statements: &D::Statements,
        attempt: Attempt,
    ) -> impl QueryFuture<Self::Answer>;
}

#[derive(Debug)]
pub(super) struct MarkEvents<'a>(pub(super) &'a [&'a Mark]);

impl<D: Dialect> Request<D> for MarkEvents<'_> {
    type Answer = Vec<bool>;

    fn operation(&self) -> &'static str {
        "mark the event as processed"
    }

    fn events(&self) -> usize {
        self.0.len()
    }

    fn send(
        &self,
        connection: &mut D::Connection,
        statements: &D::Statements,
        attempt: Attempt,
    ) -> impl QueryFuture<Vec<bool>> {
        D::mark(connection, statements, self.0, attempt)
    }
}

#[derive(Debug)]
pub(super) struct ClaimEvents<'a>(pub(super) &'a [&'a NewClaim]);

impl<D: Dialect> Request<D> for ClaimEvents<'_> {
    type Answer = Vec<Claimed>;

    fn operation(&self) -> &'static str {
        "claim the event"
    }

    fn events(&self) -> usize {
        self.0.len()
    }

    fn send(
        &self,
        connection: &mut D::Connection,
        statements: &D::Statements,
        attempt: Attempt,
    ) -> impl QueryFuture<Vec<Claimed>> {
        D::claim(connection, statements, self.0, attempt)
    }
}

/// Reads the states of events.
#[derive(Debug)]
pub(super) struct LookAtEvents<'a>(pub(super) &'a [&'a str]);

impl<D: Dialect> Request<D> for LookAtEvents<'_> {
    const NEEDS_NO_OWNER: bool = true;
    type Answer = Vec<EventState>;

    fn operation(&self) -> &'static str {
        "look at the event"
    }

    fn events(&self) -> usize {
        self.0.len()
    }

    fn send(
        &self,
        connection: &mut D::Connection,
        statements: &D::Statements,
        _: Attempt,
    ) -> impl QueryFuture<Vec<EventState>> {
        D::look(connection, statements, self.0)
    }
}

/// Renews, completes or releases claims.
#[derive(Debug)]
pub(super) struct UpdateClaims<'a> {
    pub(super) step: ClaimStep,
    pub(super) held: &'a [&'a HeldClaim],
}

impl<D: Dialect> Request<D> for UpdateClaims<'_> {
    type Answer = Vec<bool>;

    fn operation(&self) -> &'static str {
        self.step.operation()
    }

    fn events(&self) -> usize {
        self.held.len()
    }

    fn send(
        &self,
        connection: &mut D::Connection,
        statements: &D::Statements,
        attempt: Attempt,
    ) -> impl QueryFuture<Vec<bool>> {
        D::update_claims(connection, statements, self.step, self.held, attempt)
    }
}

/// Takes back marks that no caller heard of.
#[derive(Debug)]
pub(super) struct UnmarkEvents<'a>(pub(super) &'a [&'a Mark]);

impl<D: Dialect> Request<D> for UnmarkEvents<'_> {
    const NEEDS_NO_OWNER: bool = true;
    type Answer = ();

    fn operation(&self) -> &'static str {
        "take the mark back"
    }

    fn events(&self) -> usize {
        self.0.len()
    }

    fn send(
        &self,
        connection: &mut D::Connection,
        statements: &D::Statements,
        _: Attempt,
    ) -> impl QueryFuture<()> {
        D::unmark(connection, statements, self.0)
    }
}
