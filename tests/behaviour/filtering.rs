//! `only_if` and `on_ignored`: deliveries that are not for this handler are answered and leave no mark.

use ferro_idem::{
    Error, EventRef, MemoryProcessedLog, Outcome, ProcessedEventLog, SqliteLog, WebhookEvent,
    idempotent_webhook,
};

use super::sqlite::sqlite;

struct Typed(&'static str, &'static str);

impl WebhookEvent for Typed {
    fn event_id(&self) -> &str {
        self.0
    }

    fn event_type(&self) -> Option<&str> {
        Some(self.1)
    }
}

type Handled = Result<Outcome<()>, Error>;

#[idempotent_webhook(only_if = matches!(event.event_type(), Some("paid" | "refunded")))]
async fn fenced(log: &MemoryProcessedLog, event: Typed) -> Handled {
    let Typed(..) = event;
    Ok(Outcome::Processed(()))
}

#[idempotent_webhook(scope = "claimed", claim, only_if = event.event_type() == Some("paid"))]
async fn claimed(log: &MemoryProcessedLog, event: Typed) -> Handled {
    let Typed(..) = event;
    Ok(Outcome::Processed(()))
}

#[idempotent_webhook(transaction(tx), only_if = { event.1 == "paid" })]
async fn transacted(log: &SqliteLog, event: Typed) -> Handled {
    let _ = tx;
    Ok(Outcome::Processed(()))
}

#[tokio::test]
async fn an_ignored_event_is_answered_and_not_marked() {
    let log = MemoryProcessedLog::new();
    let (sqlite, _folder) = sqlite().await;
    for _ in 0..2 {
        assert_eq!(fenced(&log, Typed("evt_1", "draft")).await.unwrap(), Outcome::Duplicate);
        assert_eq!(claimed(&log, Typed("evt_1", "draft")).await.unwrap(), Outcome::Duplicate);
        assert_eq!(transacted(&sqlite, Typed("evt_1", "draft")).await.unwrap(), Outcome::Duplicate);
    }
    assert!(log.is_empty());
    assert!(sqlite.try_mark_event(EventRef::new("evt_1").unwrap()).await.unwrap(), "no mark");
    for outcome in [Outcome::Processed(()), Outcome::Duplicate] {
        assert_eq!(fenced(&log, Typed("evt_1", "paid")).await.unwrap(), outcome);
        assert_eq!(claimed(&log, Typed("evt_1", "paid")).await.unwrap(), outcome);
        assert_eq!(transacted(&sqlite, Typed("evt_2", "paid")).await.unwrap(), outcome);
    }
}

#[idempotent_webhook(
    only_if = event.1 == "paid",
    on_ignored = Ok("ignored"),
    on_duplicate = Ok("duplicate"),
)]
async fn with_its_own_reply(log: &MemoryProcessedLog, event: Typed) -> Result<&'static str, Error> {
    Ok("processed")
}

#[tokio::test]
async fn on_ignored_is_the_reply_to_an_ignored_event() {
    let log = MemoryProcessedLog::new();
    let reply = |event| async { with_its_own_reply(&log, event).await.unwrap() };
    assert_eq!(reply(Typed("evt_1", "draft")).await, "ignored");
    assert_eq!(reply(Typed("evt_1", "paid")).await, "processed");
    assert_eq!(reply(Typed("evt_1", "paid")).await, "duplicate");
    assert_eq!(reply(Typed("evt_1", "draft")).await, "ignored");
    assert_eq!(reply(Typed("", "draft")).await, "ignored", "what is ignored needs no id");
}
