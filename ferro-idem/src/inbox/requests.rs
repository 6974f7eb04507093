//! The requests of an inbox to its database.

use std::sync::Arc;

use super::delivery::{Counts, Received, SentDelivery};
use super::dialect::{FreedHeads, InboxDatabase, NewTake, TakenRows};
use super::step::StepOf;
use crate::retry::Attempt;
use crate::sql::{QueryFuture, Request, SharedRequest};

/// The bytes of a row beside its body, about.
const BYTES_OF_A_ROW: usize = 64;

impl<D: InboxDatabase> SharedRequest<D> for SentDelivery {
    type Statements = D::InboxStatements;
    type Answer = Received;

    fn event_id(&self) -> &Arc<str> {
        &self.key
    }

    fn operation(&self) -> &'static str {
        RECEIVE
    }

    fn bytes(&self) -> usize {
        self.stored.len() + BYTES_OF_A_ROW
    }

    fn send_all(
        connection: &mut D::Connection,
        statements: &D::InboxStatements,
        requests: &[&Self],
        attempt: Attempt,
    ) -> impl QueryFuture<Vec<Received>> {
        D::receive(connection, statements, requests, attempt)
    }
}

/// For error messages, to be read after "could not".
pub(super) const RECEIVE: &str = "store the delivery in the inbox";

/// All requests of one group have the same step.
impl<D: InboxDatabase> SharedRequest<D> for StepOf {
    type Statements = D::InboxStatements;
    type Answer = bool;

    fn event_id(&self) -> &Arc<str> {
        &self.held.event_id
    }

    fn operation(&self) -> &'static str {
        self.step.operation()
    }

    fn bytes(&self) -> usize {
        self.error.len() + BYTES_OF_A_ROW
    }

    fn send_all(
        connection: &mut D::Connection,
        statements: &D::InboxStatements,
        requests: &[&Self],
        attempt: Attempt,
    ) -> impl QueryFuture<Vec<bool>> {
        let step = requests.first().map_or(super::step::Step::Renew, |request| request.step);
        D::step(connection, statements, step, requests, attempt)
    }
}

/// A request of its own, that one method of [`InboxDialect`](super::dialect::InboxDialect) carries out.
macro_rules! request {
    (
        $request:ident { $($field:ident: $of:ty),* } -> $answer:ty,
        operation: $operation:literal,
        send: |$this:ident, $connection:ident, $statements:ident, $attempt:tt| $send:expr,
    ) => {
        #[derive(Debug)]
        pub(super) struct $request {
            $(pub(super) $field: $of,)*
        }

        impl<D: InboxDatabase> Request<D, D::InboxStatements> for $request {
            const NEEDS_NO_OWNER: bool = true;
            type Answer = $answer;

            fn operation(&self) -> &'static str {
                $operation
            }

            fn send(
                &self,
                $connection: &mut D::Connection,
                $statements: &D::InboxStatements,
                $attempt: Attempt,
            ) -> impl QueryFuture<$answer> {
                let $this = self;
                $send
            }
        }
    };
}

request! {
    Take { take: NewTake } -> TakenRows,
    operation: "take deliveries from the inbox",
    send: |this, connection, statements, attempt| D::take(connection, statements, &this.take, attempt),
}

request! {
    NextDue { sender: Arc<str> } -> Option<i64>,
    operation: "look when the next delivery is due",
    send: |this, connection, statements, _| D::next_due(connection, statements, &this.sender),
}

request! {
    FreeHeads { after: String } -> FreedHeads,
    operation: "free deliveries that wait for others of their order key",
    send: |this, connection, statements, _| D::free_heads(connection, statements, &this.after),
}

request! {
    PurgeSeen { after: Vec<u8>, older_than: i64, looks: bool } -> Option<(Vec<u8>, u64)>,
    operation: "purge the keys of old events",
    send: |this, connection, statements, _| {
        D::purge_seen(connection, statements, &this.after, this.older_than, this.looks)
    },
}

request! {
    AgeOfFirst {} -> Option<i64>,
    operation: "look at the first delivery",
    send: |_this, connection, statements, _| D::age_of_first(connection, statements),
}

request! {
    Count { sender: Arc<str> } -> Counts,
    operation: "count the deliveries",
    send: |this, connection, statements, _| D::counts(connection, statements, &this.sender),
}
