//! What a database is asked.

use super::dialect::{Asked, Claimed, Dialect, EventState, Held, Mark, NewClaim, Step};

/// Something to ask, as often as it takes. Invariant: to carry it out twice is to carry it out once.
pub(super) trait Request<D: Dialect>: Sync {
    /// To be read after "could not".
    fn operation(&self) -> &'static str;

    type Answer: Send;

    /// Whether it can be repeated where rows do not tell who made them.
    const NEEDS_NO_OWNER: bool = false;

    /// How many events it is about.
    fn events(&self) -> usize;

    /// `again`: an earlier attempt may have been carried out, or may still wait at the server. Never in a
    /// plain table.
    fn put(
        &self,
        connection: &mut D::Connection,
        statements: &D::Statements,
        again: bool,
    ) -> impl Asked<Self::Answer>;
}

#[derive(Debug)]
pub(super) struct Marks<'a>(pub(super) &'a [&'a Mark]);

impl<D: Dialect> Request<D> for Marks<'_> {
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

impl<D: Dialect> Request<D> for NewClaims<'_> {
    type Answer = Vec<Claimed>;

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
        again: bool,
    ) -> impl Asked<Vec<Claimed>> {
        D::claim(connection, statements, self.0, again)
    }
}

/// How events stand.
#[derive(Debug)]
pub(super) struct Looks<'a>(pub(super) &'a [&'a str]);

impl<D: Dialect> Request<D> for Looks<'_> {
    const NEEDS_NO_OWNER: bool = true;
    type Answer = Vec<EventState>;

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
    ) -> impl Asked<Vec<EventState>> {
        D::look(connection, statements, self.0)
    }
}

#[derive(Debug)]
pub(super) struct Settling<'a> {
    pub(super) step: Step,
    pub(super) held: &'a [&'a Held],
}

impl<D: Dialect> Request<D> for Settling<'_> {
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
        again: bool,
    ) -> impl Asked<Vec<bool>> {
        D::settle(connection, statements, self.step, self.held, again)
    }
}

/// Takes a mark back that its caller never heard of.
pub(super) struct Unmark<'a>(pub(super) &'a Mark);

impl<D: Dialect> Request<D> for Unmark<'_> {
    const NEEDS_NO_OWNER: bool = true;
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
