//! Deliveries that keep their reply, and replay it.

use std::time::Duration;

use ferro_idem::replay::{KEEP, NewReply, ReplayLog, TransactionalReplayLog};
use ferro_idem::{ClaimLog, ClaimOutcome, Error, EventRef, MarkOutcome, Outcome, Owner, Ownership};

use super::rig::{Body, Delivered};

fn reply(event: &str) -> String {
    format!("the reply of {event}")
}

/// Every duplicate gets the reply of the first delivery.
async fn replayed<L: ReplayLog>(log: &L, event: &str) -> Delivered {
    match log.kept_reply(event).await? {
        Some(kept) if kept == reply(event).as_bytes() => Ok(Outcome::Duplicate),
        kept => Err(Error::store("replay the reply", format!("it is {kept:?}"))),
    }
}

fn in_progress() -> Error {
    Error::in_progress("evt", Duration::from_secs(1))
}

pub(crate) async fn complete<L: ClaimLog + ReplayLog>(log: &L, event: &str, body: &Body) -> Delivered {
    let owner = Owner::random()?;
    match log.claim(EventRef::new(event)?, owner, body.lease).await? {
        ClaimOutcome::Acquired { token } => {
            body.run();
            let stored = reply(event);
            let reply = NewReply { stored: stored.as_bytes(), keep: KEEP };
            if log.complete_with_reply(event, Ownership { owner, token }, reply).await? {
                return Ok(Outcome::Processed(()));
            }
            Err(Error::store("complete the event", "the claim was lost"))
        }
        ClaimOutcome::InProgress { .. } => Err(in_progress()),
        ClaimOutcome::Processed => replayed(log, event).await,
    }
}

pub(crate) async fn transact<L: TransactionalReplayLog>(
    log: &L,
    event: &str,
    write: impl AsyncFnOnce(&mut L::Transaction) -> Result<(), Error>,
) -> Delivered {
    let mut transaction = log.begin().await?;
    match log.try_mark_in(&mut transaction, EventRef::new(event)?).await? {
        MarkOutcome::First => {
            write(&mut transaction).await?;
            let stored = reply(event);
            log.keep_in(&mut transaction, event, NewReply { stored: stored.as_bytes(), keep: KEEP }).await?;
            L::commit(transaction).await?;
            Ok(Outcome::Processed(()))
        }
        MarkOutcome::InProgress { .. } => Err(in_progress()),
        MarkOutcome::Processed => {
            L::rollback(transaction).await?;
            replayed(log, event).await
        }
    }
}
