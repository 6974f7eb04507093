//! The requests to a database.

use super::dialect::{Dialect, QueryFuture};
use super::event_state::{ClaimStep, Claimed, EventState, HeldClaim, Mark, NewClaim};
use crate::retry::Attempt;

/// A request that is sent until it is answered. Invariant: carrying it out twice has the same effect as carrying
/// it out once.
pub(crate) trait Request<D: Dialect, S = <D as Dialect>::Statements>: Sync {
    /// For error messages, to be read after "could not".
    fn operation(&self) -> &'static str;

    type Answer: Send;

    /// Whether it can be repeated over a plain table, whose rows have no owner.
    const NEEDS_NO_OWNER: bool = false;

    /// Whether it writes nothing, so that it waits for no writer.
    const ONLY_READS: bool = false;

    /// The number of events in the request.
    fn events(&self) -> usize {
        1
    }

    /// Whether it is sent although its caller is gone before there was a connection for it.
    fn is_sent_without_callers(&self) -> bool {
        false
    }

    /// Sends it once. Over a plain table every attempt is [`Attempt::First`].
    fn send(
        &self,
        connection: &mut D::Connection,
        statements: &S,
        attempt: Attempt,
    ) -> impl QueryFuture<Self::Answer>;
}

/// A request for several events that one method of [`Dialect`] carries out.
macro_rules! request_for_events {
    (
        $(#[$doc:meta])*
        $request:ident($event:ty) -> $answer:ty,
        operation: $operation:literal,
        needs_no_owner: $needs_no_owner:literal,
        send: |$connection:ident, $statements:ident, $events:ident, $attempt:tt| $send:expr,
    ) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub(super) struct $request<'a>(pub(super) &'a [&'a $event]);

        impl<D: Dialect> Request<D> for $request<'_> {
            const NEEDS_NO_OWNER: bool = $needs_no_owner;
            type Answer = $answer;

            fn operation(&self) -> &'static str {
                $operation
            }

            fn events(&self) -> usize {
                self.0.len()
            }

            fn send(
                &self,
                $connection: &mut D::Connection,
                $statements: &D::Statements,
                $attempt: Attempt,
            ) -> impl QueryFuture<$answer> {
                let $events = self.0;
                $send
            }
        }
    };
}

request_for_events! {
    /// Marks events as processed. Answers whether the mark is the request's own.
    MarkEvents(Mark) -> Vec<bool>,
    operation: "mark the event as processed",
    needs_no_owner: false,
    send: |connection, statements, marks, attempt| D::mark(connection, statements, marks, attempt),
}

request_for_events! {
    /// Claims events.
    ClaimEvents(NewClaim) -> Vec<Claimed>,
    operation: "claim the event",
    needs_no_owner: false,
    send: |connection, statements, claims, attempt| D::claim(connection, statements, claims, attempt),
}

request_for_events! {
    /// Reads the states of events.
    LookAtEvents(str) -> Vec<EventState>,
    operation: "look at the event",
    needs_no_owner: true,
    send: |connection, statements, ids, _| D::look(connection, statements, ids),
}

request_for_events! {
    /// Takes back marks whose caller was gone before the answer.
    UnmarkEvents(Mark) -> (),
    operation: "take the mark back",
    needs_no_owner: true,
    send: |connection, statements, marks, _| D::unmark(connection, statements, marks),
}

request_for_events! {
    /// Reads the replies of processed events.
    #[cfg_attr(not(feature = "replay"), allow(dead_code, reason = "only replies need it"))]
    ReadReplies(str) -> Vec<Option<Vec<u8>>>,
    operation: "read the reply",
    needs_no_owner: true,
    send: |connection, statements, ids, _| D::replies(connection, D::reply_statements(statements), ids),
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

    fn is_sent_without_callers(&self) -> bool {
        self.step.is_sent_without_callers()
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
