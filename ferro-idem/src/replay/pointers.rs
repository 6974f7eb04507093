//! Pointers to logs that keep replies.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::{ClaimOrReply, NewReply, ReplayLog, TransactionalReplayLog};
use crate::claim::Ownership;
use crate::error::Error;
use crate::event::EventRef;
use crate::owner::Owner;

/// The return type that `#[async_trait]` gives to an `async fn` of a log.
type Step<'f, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'f>>;

/// Returns the target's own boxed futures. An `async fn` here would box them again.
macro_rules! forward_to_target {
    ($($pointer:ty),*) => {$(
        impl<L: ReplayLog + ?Sized> ReplayLog for $pointer {
            fn kept_reply<'log, 'id, 'f>(&'log self, event_id: &'id str) -> Step<'f, Option<Vec<u8>>>
            where
                'log: 'f,
                'id: 'f,
                Self: 'f,
            {
                (**self).kept_reply(event_id)
            }

            fn claim_or_reply<'log, 'event, 'f>(
                &'log self,
                event: EventRef<'event>,
                owner: Owner,
                lease: Duration,
            ) -> Step<'f, Option<ClaimOrReply>>
            where
                'log: 'f,
                'event: 'f,
                Self: 'f,
            {
                (**self).claim_or_reply(event, owner, lease)
            }

            fn complete_with_reply<'log, 'id, 'reply, 'f>(
                &'log self,
                event_id: &'id str,
                held: Ownership,
                reply: NewReply<'reply>,
            ) -> Step<'f, bool>
            where
                'log: 'f,
                'id: 'f,
                'reply: 'f,
                Self: 'f,
            {
                (**self).complete_with_reply(event_id, held, reply)
            }

            fn replay_handle(&self) -> Arc<dyn ReplayLog> {
                (**self).replay_handle()
            }
        }

        impl<L: TransactionalReplayLog + ?Sized> TransactionalReplayLog for $pointer {
            fn keep_in(
                &self,
                transaction: &mut Self::Transaction,
                event_id: &str,
                reply: NewReply<'_>,
            ) -> impl Future<Output = Result<(), Error>> + Send {
                (**self).keep_in(transaction, event_id, reply)
            }
        }
    )*};
}

forward_to_target!(&L, &mut L, Box<L>, Arc<L>);
