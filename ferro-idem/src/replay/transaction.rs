//! A transaction that commits the reply with the mark and the effects.

use std::future::Future;
use std::ops::DerefMut;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::codecs::Tag;
use super::entry::{Ended, ReplayEntry, ended, found};
use super::stored::Side;
use super::terms::Terms;
use super::{KeptReply, NewReply, TransactionalReplayLog, Unreplayable};
use crate::error::Error;
use crate::event::{EventRef, InvalidEventId};
use crate::nesting::Handler;
use crate::reply::failure::Failure;
use crate::running::Running;
use crate::steps::{Step, step};
use crate::transaction::{Begun, OpenTransaction, TransactionalLog, begin_marked};

/// The log as the delivery keeps it beside the body, which may move what the log was a part of. It is a clone if the log
/// can be cloned, and else a reference.
pub struct OwnLog<'a, L: ?Sized>(pub &'a L);

pub mod own_logs {
    //! The traits that the expansion imports.

    use super::OwnLog;

    pub trait OfReference<L> {
        fn __ferro_idem_own(&self) -> L;
    }

    pub trait OfClone<L> {
        fn __ferro_idem_own(&self) -> L;
    }

    pub trait OfOther<L> {
        fn __ferro_idem_own(&self) -> L;
    }

    impl<L: Clone> OfReference<L> for &&OwnLog<'_, &L> {
        fn __ferro_idem_own(&self) -> L {
            (*self.0).clone()
        }
    }

    impl<L: Clone> OfClone<L> for &OwnLog<'_, L> {
        fn __ferro_idem_own(&self) -> L {
            self.0.clone()
        }
    }

    impl<'a, L: ?Sized> OfOther<&'a L> for OwnLog<'a, L> {
        fn __ferro_idem_own(&self) -> &'a L {
            self.0
        }
    }
}

type Keeping<'t> = Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 't>>;

/// A transaction that holds the mark, as [`OpenTransaction`], and the log that keeps the reply in it.
pub struct OpenReplaying<L, T>(Box<Parts<L, T>>);

struct Parts<L, T> {
    log: L,
    keep: for<'t> fn(&'t L, &'t mut T, &'t str, NewReply<'t>) -> Keeping<'t>,
    open: OpenTransaction<T>,
    event_id: String,
    terms: Terms,
}

/// [`TransactionalReplayLog::keep_in`].
fn keep_in<'t, L: TransactionalReplayLog>(
    log: &'t L,
    transaction: &'t mut L::Transaction,
    event_id: &'t str,
    reply: NewReply<'t>,
) -> Keeping<'t> {
    Box::pin(step(Step::KeepInTransaction, log.keep_in(transaction, event_id, reply)))
}

/// A name for the boxed future, as [`Beginning`](crate::transaction::begin)'s.
#[must_use = "nothing happens until this is awaited"]
pub struct BeginningReplay<'a, L, T>(Pin<Box<dyn Future<Output = Decided<L, T>> + Send + 'a>>);

type Decided<L, T> = ReplayEntry<OpenReplaying<L, T>>;

impl<L, T> Future for BeginningReplay<'_, L, T> {
    type Output = Decided<L, T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(context)
    }
}

/// Begins and marks, as [`begin`](crate::transaction::begin), and reads the kept reply if the event is processed.
pub fn begin_replaying<'a, L, T>(
    log: L,
    key: Result<EventRef<'a>, InvalidEventId>,
    handler: Handler,
    terms: Terms,
) -> BeginningReplay<'a, L, T>
where
    L: TransactionalReplayLog<Transaction = T> + 'a,
{
    boxed(log, key, handler, terms)
}

fn boxed<'a, L: TransactionalReplayLog + 'a>(
    log: L,
    key: Result<EventRef<'a>, InvalidEventId>,
    handler: Handler,
    terms: Terms,
) -> BeginningReplay<'a, L, <L as TransactionalLog>::Transaction> {
    BeginningReplay(Box::pin(async move {
        match begin_marked(&log, key, handler).await {
            Begun::Run(open) => {
                let event_id = key.map(|event| event.id().to_owned()).unwrap_or_default();
                ReplayEntry::Run(OpenReplaying(Box::new(Parts { log, keep: keep_in, open, event_id, terms })))
            }
            Begun::Processed(seen) => found(&log, seen, terms).await,
            Begun::Failed(error) => ReplayEntry::Failed(error),
        }
    }))
}

impl<L, T: DerefMut> OpenReplaying<L, T> {
    /// As [`OpenTransaction::parts`].
    pub fn parts(&mut self) -> (&mut T::Target, &Running) {
        self.0.open.parts()
    }
}

/// Keeps the reply and commits, or rolls back, depending on the body's reply.
///
/// If the caller is dropped while the reply is written, the transaction is rolled back. A commit or a rollback that has
/// begun finishes in the background.
///
/// # Errors
///
/// If nothing was committed, or if that is unknown. [`Error::ReplyNotKept`] if the reply cannot be kept.
#[allow(clippy::manual_async_fn)]
pub fn settle_replaying<L, T, R>(
    open: OpenReplaying<L, T>,
    reply: R,
    is_processed: impl FnOnce(&R) -> bool,
    failure: impl FnOnce(&R) -> Failure,
    _: &Tag<R>,
    keep: impl FnOnce(R) -> Result<(R, Side, KeptReply), Unreplayable>,
) -> impl Future<Output = Result<R, Error>> {
    let Parts { log, keep: keep_in, open, event_id, terms } = *open.0;
    let end = open.running().enter(|| ended(reply, terms, is_processed, failure, keep));
    async move {
        let mut open = open;
        match end {
            Ended::Processed(reply, stored) => {
                if let Some(stored) = stored {
                    let new = NewReply { stored: &stored, keep: terms.keep };
                    if let Err(error) = keep_in(&log, open.transaction(), &event_id, new).await {
                        return Err(open.fail(error).await);
                    }
                }
                open.end(None).await.map(|()| reply)
            }
            Ended::Failed(reply, failure) => open.end(Some(failure)).await.map(|()| reply),
            Ended::Unkept(Unreplayable(reason)) => {
                let error = Error::ReplyNotKept { event_id, reason };
                open.running().delivery.reply_not_kept();
                open.end(Some(Failure::new(Some(error.to_string()), None))).await?;
                Err(error)
            }
        }
    }
}
