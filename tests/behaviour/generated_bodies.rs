//! Handlers that a `macro_rules!` writes, from fragments of every kind.

use ferro_idem::{Error, MemoryProcessedLog, Outcome, SqliteLog, async_trait, idempotent_webhook};

use super::sqlite::sqlite;

macro_rules! handler {
    ($(#[$attribute:meta])* $visibility:vis $name:ident($log:ty) -> $reply:ty $body:block) => {
        $(#[$attribute])*
        $visibility async fn $name(log: &$log, event: &str) -> $reply $body
    };
}

macro_rules! any_item {
    ($scope:literal, $item:item) => {
        #[idempotent_webhook(scope = $scope)]
        $item
    };
}

handler! {
    #[idempotent_webhook(scope = "fenced")]
    fenced(MemoryProcessedLog) -> Result<Outcome<u8>, Error> {
        Ok(Outcome::Processed(1))
    }
}

handler! {
    #[idempotent_webhook(scope = "claimed", claim)]
    pub(crate) claimed(MemoryProcessedLog) -> Result<Outcome<u8>, Error> {
        use std::convert::identity;
        Ok(Outcome::Processed(identity(1)))
    }
}

handler! {
    #[idempotent_webhook(transaction(_tx))]
    transacted(SqliteLog) -> Result<Outcome<u8>, Error> {
        let ready = std::future::ready(false);
        if ready.await {
            return Ok(Outcome::Processed(2));
        }
        Ok(Outcome::Processed(1))
    }
}

macro_rules! with_inner_block {
    ($name:ident, $block:block) => {
        #[idempotent_webhook(scope = "inner", claim)]
        async fn $name(log: &MemoryProcessedLog, event: &str) -> Result<Outcome<u8>, Error> {
            $block
        }
    };
}

with_inner_block!(inner_block, {
    let outcome = Outcome::Processed(1);
    Ok(outcome)
});

any_item! {
    "item",
    async fn item(log: &MemoryProcessedLog, event: &str) -> Result<Outcome<u8>, Error> {
        Ok(Outcome::Processed(1))
    }
}

/// The `log` of the function's own `macro_rules!` hygiene, written raw.
#[idempotent_webhook(scope = "raw")]
async fn raw_names(r#log: &MemoryProcessedLog, r#event: &str) -> Result<Outcome<u8>, Error> {
    Ok(Outcome::Processed(1))
}

#[async_trait]
trait Handler {
    async fn handle(&self, r#event: &str) -> Result<Outcome<u8>, Error>;
}

#[async_trait]
impl Handler for MemoryProcessedLog {
    #[idempotent_webhook(log = self, scope = "raw-async-trait")]
    async fn handle(&self, r#event: &str) -> Result<Outcome<u8>, Error> {
        Ok(Outcome::Processed(1))
    }
}

#[idempotent_webhook(scope = "mut-fenced")]
async fn fenced_by_a_mut_log<L: ferro_idem::ProcessedEventLog>(
    log: &mut L,
    event: &str,
) -> Result<Outcome<u8>, Error> {
    Ok(Outcome::Processed(1))
}

#[idempotent_webhook(scope = "mut-claimed", claim)]
async fn claimed_by_a_mut_log(log: &mut MemoryProcessedLog, event: &str) -> Result<Outcome<u8>, Error> {
    Ok(Outcome::Processed(1))
}

#[idempotent_webhook(scope = "mut-transacted", transaction(tx))]
async fn transacted_by_a_mut_log(log: &mut SqliteLog, event: &str) -> Result<Outcome<u8>, Error> {
    let _ = tx;
    Ok(Outcome::Processed(1))
}

/// A status may stand for the error of the guarantee.
#[idempotent_webhook(scope = "status", claim)]
async fn error_is_a_status(
    log: &MemoryProcessedLog,
    event: &str,
) -> Result<Outcome<u8>, axum::http::StatusCode> {
    Ok(Outcome::Processed(1))
}

#[tokio::test]
async fn handlers_of_any_fragment_run_once() {
    let mut log = MemoryProcessedLog::new();
    let (mut sqlite, _folder) = sqlite().await;
    for outcome in [Outcome::Processed(1), Outcome::Duplicate] {
        assert_eq!(fenced(&log, "evt_1").await.unwrap(), outcome);
        assert_eq!(claimed(&log, "evt_1").await.unwrap(), outcome);
        assert_eq!(transacted(&sqlite, "evt_1").await.unwrap(), outcome);
        assert_eq!(inner_block(&log, "evt_1").await.unwrap(), outcome);
        assert_eq!(item(&log, "evt_1").await.unwrap(), outcome);
        assert_eq!(raw_names(&log, "evt_1").await.unwrap(), outcome);
        assert_eq!(log.handle("evt_1").await.unwrap(), outcome);
        assert_eq!(fenced_by_a_mut_log(&mut log, "evt_1").await.unwrap(), outcome);
        assert_eq!(claimed_by_a_mut_log(&mut log, "evt_1").await.unwrap(), outcome);
        assert_eq!(transacted_by_a_mut_log(&mut sqlite, "evt_1").await.unwrap(), outcome);
        assert_eq!(error_is_a_status(&log, "evt_1").await.unwrap(), outcome);
    }
    assert_eq!(error_is_a_status(&log, "").await.unwrap_err(), 400);
}

/// Replies that return or panic by themselves, where a warning does not compile.
mod diverging {
    #![deny(warnings)]

    use super::{Error, MemoryProcessedLog, SqliteLog, idempotent_webhook};

    macro_rules! bail {
        ($reply:expr) => {
            return $reply
        };
    }

    fn never() -> ! {
        panic!("never")
    }

    #[idempotent_webhook(
        on_duplicate = { println!("again"); return Ok(2); },
        on_error = { println!("failed"); return Ok(3); },
        only_if = event != "ignored",
        on_ignored = bail!(Ok(4)),
    )]
    pub(crate) async fn fenced(log: &MemoryProcessedLog, event: &str) -> Result<u8, Error> {
        Ok(1)
    }

    #[idempotent_webhook(
        claim,
        on_duplicate = bail!(Ok(2)),
        on_error = if event.is_empty() { return Ok(3) } else { return Ok(5) },
        only_if = event != "ignored",
        on_ignored = { return Ok(4) },
    )]
    pub(crate) async fn claimed(log: &MemoryProcessedLog, event: &'static str) -> Result<u8, Error> {
        Ok(1)
    }

    #[idempotent_webhook(transaction(tx), on_duplicate = Ok(never()), on_error = |_| never())]
    pub(crate) async fn transacted(log: &SqliteLog, event: &str) -> Result<u8, Error> {
        let _ = tx;
        Ok(1)
    }
}

#[tokio::test]
async fn replies_may_return_or_panic_by_themselves() {
    let log = MemoryProcessedLog::new();
    for (event, reply) in [("evt_1", 1), ("evt_1", 2), ("", 3), ("ignored", 4)] {
        assert_eq!(diverging::fenced(&log, event).await.unwrap(), reply);
    }
    let log = MemoryProcessedLog::new();
    for (event, reply) in [("evt_1", 1), ("evt_1", 2), ("", 3), ("ignored", 4)] {
        assert_eq!(diverging::claimed(&log, event).await.unwrap(), reply);
    }
    let (sqlite, _folder) = sqlite().await;
    assert_eq!(diverging::transacted(&sqlite, "evt_1").await.unwrap(), 1);
}
