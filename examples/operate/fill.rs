//! Deliveries of the last day. Leave this out of a copy.

use std::error::Error;
use std::time::Duration;

use ferro_idem::inbox::Inbox;
use ferro_idem::sender::Delivery;
use ferro_idem::sender::github::GithubWebhook;
use ferro_idem::{ClaimLog, ClaimOutcome, EventRef, Owner, Ownership, ProcessedEventLog, SqliteLog};
use sqlx::Sqlite;

const TYPES: [&str; 4] =
    ["invoice.paid", "payment_intent.succeeded", "charge.refunded", "customer.subscription.updated"];

/// Deliveries in each hour, the latest first.
const BUSY: [u32; 24] =
    [9, 14, 17, 22, 19, 25, 31, 28, 24, 17, 11, 6, 4, 3, 2, 2, 3, 5, 8, 12, 15, 18, 16, 11];

/// What a page for operators has to bear.
pub(crate) const HOSTILE: &str = "evt_<script>alert('1')</script>\"\n\u{1b}[31m";

const LONG: Duration = Duration::from_hours(1);

pub(crate) async fn log(log: &SqliteLog) -> Result<(), Box<dyn Error>> {
    let mut number = 0;
    for (hours_ago, deliveries) in BUSY.into_iter().enumerate() {
        for delivery in 0..deliveries {
            let event_type = TYPES[number % TYPES.len()];
            let id = format!("evt_{:08x}", number.wrapping_mul(0x9e37_79b9) & 0xffff_ffff);
            let minutes = hours_ago * 60 + usize::try_from(delivery * 59 / deliveries)?;
            deliver(log, &id, event_type, number).await?;
            received(log, &id, minutes).await?;
            number += 1;
        }
    }
    log.try_mark_event(EventRef::new(HOSTILE)?.with_type("<img src=x>")).await?;
    Ok(())
}

/// Most are processed. Some run, some have failed, and the process of some is gone.
async fn deliver(log: &SqliteLog, id: &str, event_type: &str, number: usize) -> Result<(), Box<dyn Error>> {
    let event = EventRef::new(id)?.with_type(event_type);
    match number {
        3 | 7 => drop(claim(log, event, LONG).await?),
        40 | 90 | 91 => drop(claim(log, event, Duration::ZERO).await?),
        12 | 25 | 60 | 61 | 150 => {
            // It has failed three times.
            for _ in 0..3 {
                let held = claim(log, event, LONG).await?;
                log.release(id, held).await?;
            }
        }
        number if number % 3 == 0 => {
            let held = claim(log, event, LONG).await?;
            log.complete(id, held).await?;
        }
        _ => drop(log.try_mark_event(event).await?),
    }
    Ok(())
}

async fn claim(log: &SqliteLog, event: EventRef<'_>, lease: Duration) -> Result<Ownership, Box<dyn Error>> {
    let owner = Owner::random()?;
    match log.claim(event, owner, lease).await? {
        ClaimOutcome::Acquired { token } => Ok(Ownership { owner, token }),
        outcome => Err(format!("{} is {outcome:?}", event.id()).into()),
    }
}

async fn received(log: &SqliteLog, id: &str, minutes_ago: usize) -> Result<(), sqlx::Error> {
    let received = "UPDATE stripe_processed_events SET received_at = datetime('now', '-' || ? || ' minutes') WHERE event_id = ?";
    let minutes_ago = i64::try_from(minutes_ago).unwrap_or(0);
    sqlx::query(received).bind(minutes_ago).bind(id).execute(log.pool()).await?;
    Ok(())
}

/// A real inbox gets here by workers whose handler fails. The rows are written by hand, because that takes days.
pub(crate) async fn inbox(
    log: &SqliteLog,
    inbox: &Inbox<Sqlite, GithubWebhook>,
) -> Result<(), Box<dyn Error>> {
    for number in 0..30 {
        let id = format!("72d3162e-cc78-11e3-81ab-{number:012}");
        let kind = ["push", "pull_request", "issues"][number % 3];
        let delivery = Delivery::new(br#"{"action":"opened"}"#)
            .with_header("x-github-delivery", &id)
            .with_header("x-github-event", kind);
        inbox.add(&delivery).await?;
    }
    let states = "
        UPDATE webhook_inbox SET received_at = received_at - (40 - seq) * 420000;
        UPDATE webhook_inbox SET state = 0, attempts = 1 + seq % 3, fencing_token = attempts + 1, due_at = due_at + 300000 * seq,
          last_error = 'the build server answered 503' WHERE seq BETWEEN 7 AND 12;
        UPDATE webhook_inbox SET state = 1, attempts = 1, fencing_token = 1, owner = randomblob(16), due_at = due_at + 3600000
          WHERE seq IN (13, 14);
        UPDATE webhook_inbox SET state = 1, attempts = 2, fencing_token = 2, owner = randomblob(16), due_at = due_at - 60000
          WHERE seq = 15;
        UPDATE webhook_inbox SET state = 2, attempts = 12, fencing_token = 12, due_at = 9223372036854775807,
          last_error = CASE seq % 3 WHEN 0 THEN 'the chat answered 404: there is no channel #releases'
            WHEN 1 THEN 'missing field `repository` at line 1 column 19' ELSE 'SMTP 451 <b>try later</b>' END
          WHERE seq BETWEEN 16 AND 22;
        DELETE FROM webhook_inbox_body WHERE seq > 26;
        DELETE FROM webhook_inbox WHERE seq > 26;";
    sqlx::raw_sql(states).execute(log.pool()).await?;
    Ok(())
}
