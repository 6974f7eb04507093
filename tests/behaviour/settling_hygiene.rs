//! Names that the user may use for anything, under claim and transaction: rows 19 to 21.

use ferro_idem::{Error, MemoryProcessedLog, Outcome, SqliteLog, idempotent_webhook};

use super::sqlite::sqlite;

/// The names of the expansion, and others that one could think of.
#[idempotent_webhook(claim)]
#[allow(clippy::too_many_arguments)]
async fn every_name_is_free_under_a_claim(
    log: &MemoryProcessedLog,
    event: &str,
    key: u8,
    __key: u8,
    __e: u8,
    claim: u8,
    tx: u8,
    asked: u8,
    error: u8,
    guard: u8,
    body: u8,
    ran: u8,
    settled: u8,
    reply: u8,
) -> Result<Outcome<u8>, Error> {
    Ok(Outcome::Processed(
        key + __key + __e + claim + tx + asked + error + guard + body + ran + settled + reply,
    ))
}

#[idempotent_webhook(scope = "all", transaction(tx))]
#[allow(clippy::too_many_arguments)]
async fn every_name_is_free_in_a_transaction(
    log: &SqliteLog,
    event: &str,
    key: u8,
    __key: u8,
    __e: u8,
    claim: u8,
    asked: u8,
    error: u8,
    open: u8,
    body: u8,
    connection: u8,
    delivery: u8,
    settled: u8,
    reply: u8,
    buffer: u8,
) -> Result<Outcome<u8>, Error> {
    let _ = tx;
    Ok(Outcome::Processed(
        key + __key
            + __e
            + claim
            + asked
            + error
            + open
            + body
            + connection
            + delivery
            + settled
            + reply
            + buffer,
    ))
}

/// Names of the expansion in the arguments mean the user's.
#[idempotent_webhook(
    log = guard,
    event = settled,
    on_duplicate = Ok(error + body),
    on_error = |claim| Err((claim.to_string(), reply)),
    claim(asked),
)]
async fn names_in_claim_arguments(
    guard: &MemoryProcessedLog,
    settled: &str,
    error: u64,
    body: u64,
    reply: u64,
) -> Result<u64, (String, u64)> {
    Ok(asked.fencing_token() + error)
}

/// `connection` for the binding is `connection` of the expansion.
#[idempotent_webhook(log = open, event = settled, on_duplicate = Ok(reply), transaction(connection))]
async fn names_in_transaction_arguments(open: &SqliteLog, settled: &str, reply: u8) -> Result<u8, Error> {
    let _: &mut sqlx::SqliteConnection = connection;
    Ok(reply + 1)
}

/// A binding may hide a parameter: the body is the one that asked for it.
#[idempotent_webhook(claim(event))]
async fn binding_hides_a_parameter(log: &MemoryProcessedLog, event: &str) -> Result<Outcome<u64>, Error> {
    Ok(Outcome::Processed(event.attempt()))
}

#[tokio::test]
async fn row_19_parameters_and_bindings_may_have_any_name() {
    let memory = MemoryProcessedLog::new();
    let (sqlite, _folder) = sqlite().await;
    let sum = every_name_is_free_under_a_claim(&memory, "evt_1", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12);
    assert_eq!(sum.await.unwrap(), Outcome::Processed(78));
    let sum =
        every_name_is_free_in_a_transaction(&sqlite, "evt_1", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13);
    assert_eq!(sum.await.unwrap(), Outcome::Processed(91));

    assert_eq!(names_in_claim_arguments(&memory, "evt_2", 7, 8, 9).await.unwrap(), 8);
    assert_eq!(names_in_claim_arguments(&memory, "evt_2", 7, 8, 9).await.unwrap(), 15);
    assert_eq!(names_in_claim_arguments(&memory, "", 7, 8, 9).await.unwrap_err().1, 9);
    assert_eq!(names_in_transaction_arguments(&sqlite, "evt_2", 7).await.unwrap(), 8);
    assert_eq!(names_in_transaction_arguments(&sqlite, "evt_2", 7).await.unwrap(), 7);
    assert_eq!(binding_hides_a_parameter(&memory, "evt_3").await.unwrap(), Outcome::Processed(1));
}

#[allow(non_snake_case, non_upper_case_globals, dead_code, unused_variables, unused_macros)]
mod shadowed {
    use ::ferro_idem as real;

    pub(crate) mod core {}
    pub(crate) mod std {}
    pub(crate) mod ferro_idem {}
    pub(crate) struct String;
    pub(crate) struct Result;
    pub(crate) struct Option;
    pub(crate) struct Probe;
    pub(crate) trait Future {}
    pub(crate) trait From {}
    pub(crate) trait Settle {}
    pub(crate) fn Ok() {}
    pub(crate) fn Err() {}
    pub(crate) fn Some() {}
    pub(crate) const None: u8 = 0;
    macro_rules! pin {
        () => {};
    }

    #[real::idempotent_webhook(scope = "shadowed", claim(c, lease = real::DEFAULT_LEASE))]
    pub(crate) async fn claimed(
        log: &real::MemoryProcessedLog,
        event: &str,
    ) -> ::core::result::Result<real::Outcome<u64>, real::Error> {
        ::core::result::Result::Ok(real::Outcome::Processed(c.attempt()))
    }

    #[real::idempotent_webhook(scope = "shadowed", transaction(tx))]
    pub(crate) async fn transacted(
        log: &real::SqliteLog,
        event: &str,
    ) -> ::core::result::Result<real::Outcome<u64>, real::Error> {
        ::core::result::Result::Ok(real::Outcome::Processed(1))
    }
}

#[tokio::test]
async fn row_20_user_names_may_shadow_the_prelude_and_crates() {
    let memory = MemoryProcessedLog::new();
    let (sqlite, _folder) = sqlite().await;
    for outcome in [Outcome::Processed(1), Outcome::Duplicate] {
        assert_eq!(shadowed::claimed(&memory, "evt_1").await.unwrap(), outcome);
        assert_eq!(shadowed::transacted(&sqlite, "evt_1").await.unwrap(), outcome);
    }
}

mod without_prelude {
    #![no_implicit_prelude]

    #[::ferro_idem::idempotent_webhook(scope = "bare", on_duplicate = ::std::result::Result::Ok(0), claim(c))]
    pub(crate) async fn claimed(
        log: &::ferro_idem::MemoryProcessedLog,
        event: &str,
    ) -> ::std::result::Result<u64, ::ferro_idem::Error> {
        ::std::result::Result::Ok(c.attempt())
    }

    #[::ferro_idem::idempotent_webhook(scope = "bare", transaction(tx))]
    pub(crate) async fn transacted(
        log: &::ferro_idem::SqliteLog,
        event: &str,
    ) -> ::std::result::Result<(), ::ferro_idem::Error> {
        let _ = tx;
        ::std::result::Result::Ok(())
    }
}

#[tokio::test]
async fn row_21_without_the_prelude() {
    without_prelude::claimed(&MemoryProcessedLog::new(), "evt_1").await.unwrap();
    let (sqlite, _folder) = sqlite().await;
    without_prelude::transacted(&sqlite, "evt_1").await.unwrap();
}
