//! Requests of other parts of the crate that share a statement with others of their kind.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::batch::{Batch, Leftover};
use super::{BatchAnswer, BatchRequest, Group, MAX_BYTES, max_unpolled, send_in_batch};
use crate::error::Error;
use crate::retry::{Attempt, Attempts};
use crate::sql::core::{Compiled, Core};
use crate::sql::dialect::{Dialect, QueryFuture};
use crate::sql::request::Request;
use crate::sql::session::{RequestFailed, Session};

/// A request that shares a statement with others of its kind. Cheap to clone.
///
/// Invariant: carrying it out twice has the same effect as carrying it out once. It is sent although its caller is
/// gone.
pub(crate) trait SharedRequest<D: Dialect>: Clone + Send + Sync + 'static {
    type Statements: Send + Sync + 'static;
    type Answer: Clone + Send + 'static;

    /// Two requests of one event are not sent in one statement.
    fn event_id(&self) -> &Arc<str>;

    /// For error messages, to be read after "could not".
    fn operation(&self) -> &'static str;

    /// About how many bytes it adds to the statement.
    fn bytes(&self) -> usize;

    /// An answer for each request. They are in the order of their arrival.
    fn send_all(
        connection: &mut D::Connection,
        statements: &Self::Statements,
        requests: &[&Self],
        attempt: Attempt,
    ) -> impl QueryFuture<Vec<Self::Answer>>;
}

/// A request with its statements.
pub(crate) struct Shared<S, R> {
    sql: Arc<Compiled<S>>,
    request: R,
}

/// The callers of one kind of request.
pub(crate) struct SharedGroup<D: Dialect, R: SharedRequest<D>>(GroupOf<D, R>);

type SharedOf<D, R> = Shared<<R as SharedRequest<D>>::Statements, R>;
type GroupOf<D, R> = Arc<Group<SharedOf<D, R>, <R as SharedRequest<D>>::Answer>>;

impl<D: Dialect, R: SharedRequest<D>> Default for SharedGroup<D, R> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<D: Dialect, R: SharedRequest<D>> SharedGroup<D, R> {
    /// Sends a request with the others of its group, until it is answered.
    pub(in crate::sql) async fn send(
        &self,
        core: &Arc<Core<D>>,
        sql: &Arc<Compiled<R::Statements>>,
        request: R,
    ) -> Result<R::Answer, Error> {
        let session = || Session::for_batches(core);
        let shared = Shared { sql: Arc::clone(sql), request: request.clone() };
        let attempt = match send_in_batch(session, &self.0, shared).await {
            BatchAnswer::Answer(answer) => return Ok(answer),
            BatchAnswer::Failed(error) => return Err(error),
            BatchAnswer::Alone(attempt) => attempt,
        };
        let alone = Session::for_caller(core)
            .send_with(sql, &mut Attempts::starting_with(attempt), &Together(&[&request]))
            .await
            .map_err(RequestFailed::into_error)?;
        alone.into_iter().next().ok_or_else(|| Error::store(request.operation(), sqlx::Error::RowNotFound))
    }
}

impl<D: Dialect, R: SharedRequest<D>> BatchRequest<Session<D>> for Shared<R::Statements, R> {
    type Answer = R::Answer;

    fn id(&self) -> &Arc<str> {
        self.request.event_id()
    }

    fn operation(&self) -> &'static str {
        self.request.operation()
    }

    fn max_unpolled() -> Option<Duration> {
        max_unpolled::<D>()
    }

    fn is_sent_without_callers(&self) -> bool {
        true
    }

    async fn send_batch(
        session: &mut Session<D>,
        mut batch: Batch<Self, R::Answer>,
    ) -> Leftover<Self, R::Answer> {
        let mut waiting = Vec::new();
        let (mut events, mut bytes) = (HashSet::new(), 0);
        let (mut sent, mut is_full) = (Vec::new(), false);
        for follower in batch.take() {
            let request = &follower.request.request;
            is_full |= bytes > 0 && bytes + request.bytes() > MAX_BYTES;
            if is_full || events.contains(request.event_id()) {
                waiting.push(follower);
                continue;
            }
            events.insert(Arc::clone(request.event_id()));
            bytes += request.bytes();
            sent.push(follower);
        }
        batch.followers = sent;
        let Some(sql) = batch.followers.first().map(|first| Arc::clone(&first.request.sql)) else {
            return Leftover::waiting(waiting);
        };
        let mut attempts = batch.begin();
        let answers = {
            let requests: Vec<&R> =
                batch.followers.iter().map(|follower| &follower.request.request).collect();
            session.send_with(&sql, &mut attempts, &Together(&requests)).await
        };
        match answers {
            Ok(answers) => {
                for (follower, answer) in batch.take().into_iter().zip(answers) {
                    follower.tell_all(|| BatchAnswer::Answer(answer.clone()));
                }
                Leftover::waiting(waiting)
            }
            Err(failed) => batch.fail_or_search(session, waiting, failed),
        }
    }
}

/// Some requests, as one.
struct Together<'a, R>(&'a [&'a R]);

impl<D: Dialect, R: SharedRequest<D>> Request<D, R::Statements> for Together<'_, R> {
    const NEEDS_NO_OWNER: bool = true;
    type Answer = Vec<R::Answer>;

    fn operation(&self) -> &'static str {
        self.0.first().map_or("send nothing", |request| request.operation())
    }

    fn events(&self) -> usize {
        self.0.len()
    }

    fn is_sent_without_callers(&self) -> bool {
        true
    }

    fn send(
        &self,
        connection: &mut D::Connection,
        statements: &R::Statements,
        attempt: Attempt,
    ) -> impl QueryFuture<Self::Answer> {
        R::send_all(connection, statements, self.0, attempt)
    }
}
