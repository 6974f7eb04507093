//! `claim` and `transaction` in functions that other macros wrote, and under the strictest lints:
//! rows 6, 8, 9, 10 and 25.

use async_trait::async_trait;
use axum::Json;
use ferro_idem::{ClaimLog, Error, MemoryProcessedLog, Outcome, SqliteLog, idempotent_webhook};

use super::sqlite::{effects, sqlite, write_effect};

struct Shop {
    memory: MemoryProcessedLog,
    sqlite: SqliteLog,
}

#[async_trait]
trait BoxedHandler: Sync {
    async fn claim(&self, event: Json<String>) -> Result<Outcome<u64>, Error>;
    async fn transact(&self, event: Json<String>) -> Result<Outcome<()>, Error>;
    async fn silent(&self, event: &str);

    #[idempotent_webhook(on_duplicate = Reply("again"), on_error = |_| Reply("failed"), claim)]
    async fn provided<L: ClaimLog>(&self, log: &L, event: &str, reply: &'static str) -> Reply {
        Reply(reply)
    }
}

/// An application's own reply.
#[derive(Debug, PartialEq, Eq)]
struct Reply(&'static str);

impl ferro_idem::Settle for Reply {
    fn is_processed(&self) -> bool {
        self.0 == "done"
    }
}

#[async_trait]
impl BoxedHandler for Shop {
    #[idempotent_webhook(log = self.memory, scope = "boxed", claim(c))]
    async fn claim(&self, Json(event): Json<String>) -> Result<Outcome<u64>, Error> {
        assert_eq!(c.event_id(), format!("boxed:{event}"));
        Ok(Outcome::Processed(c.attempt()))
    }

    #[idempotent_webhook(log = self.sqlite, transaction(tx))]
    async fn transact(&self, Json(event): Json<String>) -> Result<Outcome<()>, Error> {
        write_effect(tx, &event).await?;
        Ok(Outcome::Processed(()))
    }

    #[idempotent_webhook(log = self.memory, on_error = |_| (), claim)]
    async fn silent(&self, event: &str) {}
}

#[tokio::test]
async fn row_06_async_trait_methods() {
    let (sqlite, _folder) = sqlite().await;
    let shop = Shop { memory: MemoryProcessedLog::new(), sqlite };
    let event = || Json("evt_1".to_owned());
    assert_eq!(shop.claim(event()).await.unwrap(), Outcome::Processed(1));
    assert_eq!(shop.claim(event()).await.unwrap(), Outcome::Duplicate);
    assert_eq!(shop.transact(event()).await.unwrap(), Outcome::Processed(()));
    assert_eq!(shop.transact(event()).await.unwrap(), Outcome::Duplicate);
    assert_eq!(effects(&shop.sqlite).await, 1);
    shop.silent("evt_1").await;
    assert_eq!(shop.memory.len(), 2, "the scope gives each a claim of its own");
    for (written, answered) in [("later", "later"), ("done", "done"), ("done", "again")] {
        assert_eq!(shop.provided(&shop.memory, "evt_2", written).await, Reply(answered));
    }
}

mod strict {
    //! Rows 8, 10 and 25, where a warning is an error.
    #![deny(missing_docs, warnings)]

    use super::{Error, MemoryProcessedLog, Outcome, SqliteLog, idempotent_webhook, write_effect};

    /// Documented, must be used, and half of it configured away.
    #[must_use = "or the error is lost"]
    #[idempotent_webhook(claim(c))]
    #[cfg(not(any()))]
    pub(crate) async fn attributed_claim(
        log: &MemoryProcessedLog,
        event: &str,
        #[cfg(any())] gone: u8,
    ) -> Result<(), Error> {
        #![allow(unused_variables)]
        let unused = 1;
        Ok(())
    }

    /// The same, in a transaction.
    #[must_use = "or the error is lost"]
    #[idempotent_webhook(transaction(tx))]
    #[cfg(not(any()))]
    pub(crate) async fn attributed_transaction(
        log: &SqliteLog,
        event: &str,
        #[cfg(any())] gone: u8,
    ) -> Result<(), Error> {
        #![allow(unused_variables)]
        let unused = 1;
        Ok(())
    }

    #[idempotent_webhook(claim)]
    pub(crate) async fn early_under_a_claim(
        log: &MemoryProcessedLog,
        event: &str,
        parse: &str,
    ) -> Result<Outcome<u8>, Box<dyn std::error::Error + Send + Sync>> {
        if parse == "skip" {
            return Ok(Outcome::Processed(0));
        }
        let number: u8 = parse.parse()?;
        Ok(Outcome::Processed(number))
    }

    #[idempotent_webhook(transaction(tx))]
    pub(crate) async fn early_in_a_transaction(
        log: &SqliteLog,
        event: &str,
        parse: &str,
    ) -> Result<Outcome<u8>, Box<dyn std::error::Error + Send + Sync>> {
        write_effect(tx, event).await?;
        if parse == "skip" {
            return Ok(Outcome::Processed(0));
        }
        let number: u8 = parse.parse()?;
        Ok(Outcome::Processed(number))
    }

    #[idempotent_webhook(claim)]
    pub(crate) async fn diverging_claim(log: &MemoryProcessedLog, event: &str) -> Result<(), Error> {
        panic!("no way on")
    }

    #[idempotent_webhook(transaction(tx))]
    pub(crate) async fn diverging_transaction(log: &SqliteLog, event: &str) -> Result<(), Error> {
        let _ = tx;
        panic!("no way on")
    }

    #[idempotent_webhook(on_duplicate = panic!("seen"), claim)]
    pub(crate) async fn diverging_reply(log: &MemoryProcessedLog, event: &str) -> Result<u8, Error> {
        Ok(1)
    }

    #[idempotent_webhook(
        log = { log },
        on_duplicate = { Ok(1) },
        on_error = { |_| Ok(2) },
        claim(c, lease = { std::time::Duration::from_mins(1) }),
    )]
    pub(crate) async fn braces(log: &MemoryProcessedLog, event: &str) -> Result<u64, Error> {
        Ok(c.attempt() + 10)
    }
}

#[tokio::test]
async fn row_08_attributes_and_documentation_survive() {
    strict::attributed_claim(&MemoryProcessedLog::new(), "evt_1").await.unwrap();
    let (sqlite, _folder) = sqlite().await;
    strict::attributed_transaction(&sqlite, "evt_1").await.unwrap();
}

macro_rules! claim_handler {
    ($name:ident, $log:expr, $event:expr, $lease:expr) => {
        #[idempotent_webhook(log = $log, event = $event, claim(c, lease = $lease))]
        pub(crate) async fn $name(memory: MemoryProcessedLog, id: &str) -> Result<Outcome<u64>, Error> {
            let _ = (&memory, id);
            Ok(Outcome::Processed(c.attempt()))
        }
    };
}

macro_rules! transaction_handler {
    ($name:ident, $tx:ident, $log:ident, $body:expr) => {
        #[idempotent_webhook(log = $log, event_id = String::from("evt_1"), transaction($tx))]
        pub(crate) async fn $name($log: SqliteLog) -> Result<Outcome<()>, Error> {
            $body
        }
    };
}

/// Everything is written by the macro, so the names have its hygiene.
macro_rules! whole_handlers {
    ($claimed:ident, $transacted:ident) => {
        #[idempotent_webhook(claim(c))]
        pub(crate) async fn $claimed(log: &MemoryProcessedLog, event: &str) -> Result<Outcome<u64>, Error> {
            Ok(Outcome::Processed(c.attempt()))
        }

        #[idempotent_webhook(transaction(tx))]
        pub(crate) async fn $transacted(log: &SqliteLog, event: &str) -> Result<Outcome<()>, Error> {
            write_effect(tx, event).await?;
            Ok(Outcome::Processed(()))
        }
    };
}

mod from_macro {
    use std::time::Duration;

    use super::{Error, MemoryProcessedLog, Outcome, SqliteLog, idempotent_webhook, write_effect};

    claim_handler!(with_arguments, MemoryProcessedLog::new(), String::from("evt_1"), Duration::from_mins(1));
    transaction_handler!(with_a_body, tx, log, {
        write_effect(tx, "evt_1").await?;
        Ok(Outcome::Processed(()))
    });
    whole_handlers!(hygienic_claim, hygienic_transaction);
}

#[tokio::test]
async fn row_09_inside_macro_rules() {
    let memory = MemoryProcessedLog::new();
    assert_eq!(from_macro::hygienic_claim(&memory, "evt_1").await.unwrap(), Outcome::Processed(1));
    assert_eq!(from_macro::hygienic_claim(&memory, "evt_1").await.unwrap(), Outcome::Duplicate);
    assert_eq!(from_macro::with_arguments(memory, "").await.unwrap(), Outcome::Processed(1));
    let (sqlite, _folder) = sqlite().await;
    assert_eq!(from_macro::hygienic_transaction(&sqlite, "evt_1").await.unwrap(), Outcome::Processed(()));
    assert_eq!(from_macro::hygienic_transaction(&sqlite, "evt_1").await.unwrap(), Outcome::Duplicate);
    assert_eq!(from_macro::with_a_body(sqlite).await.unwrap(), Outcome::Duplicate);
}

#[tokio::test]
async fn row_10_question_mark_early_return_and_divergence() {
    use std::panic::AssertUnwindSafe;

    use futures_util::FutureExt;

    let memory = MemoryProcessedLog::new();
    let (sqlite, _folder) = sqlite().await;
    for (parse, outcome) in [("x", None), ("7", Some(Outcome::Processed(7))), ("7", Some(Outcome::Duplicate))]
    {
        assert_eq!(strict::early_under_a_claim(&memory, "evt_1", parse).await.ok(), outcome);
        assert_eq!(strict::early_in_a_transaction(&sqlite, "evt_1", parse).await.ok(), outcome);
    }
    assert_eq!(strict::early_under_a_claim(&memory, "evt_2", "skip").await.unwrap(), Outcome::Processed(0));
    assert_eq!(
        strict::early_in_a_transaction(&sqlite, "evt_2", "skip").await.unwrap(),
        Outcome::Processed(0)
    );
    assert_eq!(effects(&sqlite).await, 2, "the `?` rolled its effect back");

    assert!(AssertUnwindSafe(strict::diverging_claim(&memory, "evt_3")).catch_unwind().await.is_err());
    assert!(AssertUnwindSafe(strict::diverging_transaction(&sqlite, "evt_3")).catch_unwind().await.is_err());
    assert_eq!(strict::diverging_reply(&memory, "evt_4").await.unwrap(), 1);
    assert!(AssertUnwindSafe(strict::diverging_reply(&memory, "evt_4")).catch_unwind().await.is_err());
}

#[tokio::test]
async fn row_25_braces_around_a_value_raise_no_warning() {
    let log = MemoryProcessedLog::new();
    assert_eq!(strict::braces(&log, "evt_1").await.unwrap(), 11);
    assert_eq!(strict::braces(&log, "evt_1").await.unwrap(), 1);
    assert_eq!(strict::braces(&log, "").await.unwrap(), 2);
}
