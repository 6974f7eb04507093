//! Cases about replies that are kept with the completion of a claim.

mod kept;
mod lost;

use std::time::{Duration, Instant};

use crate::claim::{ClaimLog, ClaimOutcome, Ownership};
use crate::conformance::breach::{Kept, check};
use crate::conformance::delivering::{LONG_LEASE, acquire, event};
use crate::owner::Owner;
use crate::replay::{ClaimOrReply, KEEP, NewReply, ReplayLog};

pub(in crate::conformance) use self::kept::*;
pub(in crate::conformance) use self::lost::*;

/// How long a reply is kept that has to expire in a case.
pub(super) const SHORT_KEEP: Duration = Duration::from_millis(5);

pub(super) fn reply(stored: &[u8]) -> NewReply<'_> {
    NewReply { stored, keep: KEEP }
}

/// Replies that stores may cut, decode or take for none.
pub(super) fn odd_replies() -> Vec<Vec<u8>> {
    let all: Vec<u8> = (0..=u8::MAX).collect();
    vec![
        Vec::new(),
        vec![0],
        b"before\0after".to_vec(),
        all.clone(),
        b"\xff\xfe\xc3\x28 no text".to_vec(),
        "\u{1f4b8} '); DROP TABLE stripe_processed_events; -- \\x00 $1 ?".as_bytes().to_vec(),
        b" trailing spaces  ".to_vec(),
        all.iter().copied().cycle().take(70_000).collect(),
        all.into_iter().cycle().take(1 << 20).collect(),
    ]
}

/// Checks what is kept for an event, over one handle.
pub(super) async fn keeps<L: ReplayLog>(log: &L, id: &str, expected: Option<&[u8]>) -> Kept {
    let kept = log.kept_reply(id).await?;
    check(kept.as_deref() == expected, || {
        format!("{id:?} has the reply {}, and not {}", shown(kept.as_deref()), shown(expected))
    })?;
    // An event that has a reply is processed, so that this claims nothing.
    if expected.is_some() { claim_returns(log, id, expected).await } else { Ok(()) }
}

/// Checks what a claim of a processed event returns of its reply, if the log reads both in one request.
pub(super) async fn claim_returns<L: ReplayLog>(log: &L, id: &str, expected: Option<&[u8]>) -> Kept {
    let answer = log.claim_or_reply(event(id)?, Owner::random()?, LONG_LEASE).await?;
    let Some(ClaimOrReply { outcome, reply }) = answer else { return Ok(()) };
    check(outcome == ClaimOutcome::Processed, || {
        format!("{id:?} is processed, and a claim that reads its reply got {outcome:?}")
    })?;
    check(reply.as_deref() == expected, || {
        format!(
            "a claim of {id:?} returned the reply {}, and not {}",
            shown(reply.as_deref()),
            shown(expected)
        )
    })
}

fn shown(reply: Option<&[u8]>) -> String {
    let Some(reply) = reply else { return "none".to_owned() };
    let start = String::from_utf8_lossy(reply.get(..40).unwrap_or(reply));
    format!("{start:?} of {} bytes", reply.len())
}

/// Claims a new event, and completes it with this reply.
pub(super) async fn replied<L: ClaimLog + ReplayLog>(log: &L, id: &str, stored: &[u8]) -> Kept<Ownership> {
    let held = acquire(log, id, LONG_LEASE).await?;
    check(log.complete_with_reply(id, held, reply(stored)).await?, || {
        format!("the live claim of {id:?} was not completed")
    })?;
    Ok(held)
}

/// Waits until the reply has expired, which was kept for [`SHORT_KEEP`] or less.
pub(super) async fn expires<L: ReplayLog>(log: &L, id: &str) -> Kept {
    let start = Instant::now();
    loop {
        // Before the read, so that a slow store is no breach.
        let is_over = start.elapsed() > SHORT_KEEP * 100;
        if log.kept_reply(id).await?.is_none() {
            return claim_returns(log, id, None).await;
        }
        check(!is_over, || {
            format!("the reply of {id:?} was to be kept for {SHORT_KEEP:?}, and is still there")
        })?;
        tokio::time::sleep(SHORT_KEEP).await;
    }
}
