//! Items of the user with names that the expansion uses.
//!
//! Hygiene distinguishes local variables. It does not distinguish a binding from a static or a unit variant,
//! or two methods.

#![allow(
    non_upper_case_globals,
    non_camel_case_types,
    dead_code,
    clippy::wildcard_imports,
    clippy::enum_glob_use,
    clippy::wrong_self_convention
)]

use ferro_idem::{Error, MemoryProcessedLog, Outcome, SqliteLog, idempotent_webhook};

use super::sqlite::{sqlite, write_effect};

mod user {
    use super::*;

    /// A blanket trait takes part in every method call of its scope.
    trait Blanket {
        fn rule(&self) {}
        fn shape(&self) {}
        fn kind(&self) {}
        fn held(&self) {}
        fn run(&self) {}
        fn parts(&self) {}
        fn claim(&self) {}
        fn settle(&self) {}
        fn key(&self) {}
        fn event_id(&self) {}
        fn is_processed(&self) {}
        fn status(&self) -> u8 {
            1
        }
        fn is_success(&self) -> u8 {
            1
        }
        fn await_it(&self) {}
    }

    impl<T: ?Sized> Blanket for T {}

    /// The same by value.
    trait ByValue: Sized {
        fn key(self) {}
        fn run(self) {}
        fn held(self) {}
        fn is_processed(self) {}
    }

    impl<T> ByValue for T {}

    enum State {
        open,
        error,
        reply,
        event,
        guard,
        body,
        claim,
        connection,
        delivery,
        settled,
        asked,
        checked,
        key,
        buffer,
        entry,
        held,
        status,
        success,
        decided,
    }

    use State::*;

    static id: u8 = 0;
    static log: u8 = 0;
    const lease: u8 = 0;

    #[idempotent_webhook(log = memory, event = "evt_1".to_owned(), scope = "fenced")]
    pub(crate) async fn fenced(memory: &MemoryProcessedLog) -> Result<Outcome<u8>, Error> {
        let _: State = open;
        Ok(Outcome::Processed(id))
    }

    #[idempotent_webhook(log = memory, event_id = Some("evt_1"), scope = "claimed", claim(c))]
    pub(crate) async fn claimed(memory: &MemoryProcessedLog) -> Result<Outcome<u8>, Error> {
        let _ = (c.attempt(), guard);
        Ok(Outcome::Processed(log))
    }

    #[idempotent_webhook(log = *sqlite, event_id = String::from("evt_1"), transaction(tx))]
    pub(crate) async fn transacted(sqlite: &SqliteLog) -> Result<Outcome<u8>, Error> {
        write_effect(tx, "evt_1").await?;
        let _ = connection;
        Ok(Outcome::Processed(lease))
    }

    #[idempotent_webhook(
    log = memory,
    event = str::to_owned("evt_1"),
    scope = "every",
    claim,
    only_if = true,
    on_ignored = Ok(1),
    on_duplicate = Ok(2),
    on_error = |_| Ok(3),
    processed = |_| true,
)]
    pub(crate) async fn every_argument(memory: &MemoryProcessedLog) -> Result<u8, Error> {
        Ok(0)
    }

    /// The same names within a body.
    #[idempotent_webhook(log = memory, event = str::to_owned("evt_2"), claim)]
    pub(crate) async fn items_in_the_body(memory: &MemoryProcessedLog) -> Result<Outcome<u8>, Error> {
        use State::*;
        static event: u8 = 7;
        const guard: u8 = 1;
        fn claim() -> u8 {
            event + guard
        }
        let _ = (body, open);
        Ok(Outcome::Processed(claim()))
    }
}

#[tokio::test]
async fn users_items_may_have_any_name() {
    let memory = MemoryProcessedLog::new();
    let (sqlite, _folder) = sqlite().await;
    for outcome in [Outcome::Processed(0), Outcome::Duplicate] {
        assert_eq!(user::fenced(&memory).await.unwrap(), outcome);
        assert_eq!(user::claimed(&memory).await.unwrap(), outcome);
        assert_eq!(user::transacted(&sqlite).await.unwrap(), outcome);
    }
    assert_eq!(user::every_argument(&memory).await.unwrap(), 0);
    assert_eq!(user::every_argument(&memory).await.unwrap(), 2);
}

#[tokio::test]
async fn items_of_a_body_may_have_any_name() {
    let memory = MemoryProcessedLog::new();
    assert_eq!(user::items_in_the_body(&memory).await.unwrap(), Outcome::Processed(8));
    assert_eq!(user::items_in_the_body(&memory).await.unwrap(), Outcome::Duplicate);
}
