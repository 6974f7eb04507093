//! Names that the user may use for anything: rows 19 to 21.

use ferro_idem::{Error, MemoryProcessedLog, Outcome, idempotent_webhook};

#[idempotent_webhook]
#[allow(clippy::too_many_arguments)]
async fn every_name_is_free(
    log: &MemoryProcessedLog,
    event: &str,
    key: u8,
    __key: u8,
    __e: u8,
    claim: u8,
    tx: u8,
    checked: u8,
    error: u8,
) -> Result<Outcome<u8>, Error> {
    Ok(Outcome::Processed(key + __key + __e + claim + tx + checked + error))
}

/// `checked` and `error` are names of the expansion: the arguments mean the user's.
#[idempotent_webhook(event = checked, on_duplicate = Ok(error), on_error = |_| Ok(error))]
async fn names_in_arguments(log: &MemoryProcessedLog, checked: &str, error: u8) -> Result<u8, Error> {
    Ok(error + 1)
}

#[tokio::test]
async fn row_19_parameters_may_have_any_name() {
    let log = MemoryProcessedLog::new();
    let sum = every_name_is_free(&log, "evt_1", 1, 2, 3, 4, 5, 6, 7).await.unwrap();
    assert_eq!(sum, Outcome::Processed(28));
    assert_eq!(names_in_arguments(&log, "evt_2", 7).await.unwrap(), 8);
    assert_eq!(names_in_arguments(&log, "evt_2", 7).await.unwrap(), 7);
}

#[allow(non_snake_case, non_upper_case_globals, dead_code, unused_variables)]
mod shadowed {
    use ::ferro_idem as real;

    pub(crate) mod core {}
    pub(crate) mod std {}
    pub(crate) mod ferro_idem {}
    pub(crate) struct String;
    pub(crate) struct Result;
    pub(crate) struct Option;
    pub(crate) trait Future {}
    pub(crate) trait From {}
    pub(crate) fn Ok() {}
    pub(crate) fn Err() {}
    pub(crate) fn Some() {}
    pub(crate) const None: u8 = 0;

    #[real::idempotent_webhook(scope = "shadowed")]
    pub(crate) async fn shadowing(
        log: &real::MemoryProcessedLog,
        event: &str,
    ) -> ::core::result::Result<real::Outcome<u8>, real::Error> {
        ::core::result::Result::Ok(real::Outcome::Processed(1))
    }
}

#[tokio::test]
async fn row_20_user_names_may_shadow_the_prelude_and_crates() {
    let log = MemoryProcessedLog::new();
    assert_eq!(shadowed::shadowing(&log, "evt_1").await.unwrap(), Outcome::Processed(1));
    assert_eq!(shadowed::shadowing(&log, "evt_1").await.unwrap(), Outcome::Duplicate);
}

mod without_prelude {
    #![no_implicit_prelude]

    #[::ferro_idem::idempotent_webhook(scope = "bare")]
    pub(crate) async fn bare(
        log: &::ferro_idem::MemoryProcessedLog,
        event: &str,
    ) -> ::std::result::Result<(), ::ferro_idem::Error> {
        ::std::result::Result::Ok(())
    }
}

#[tokio::test]
async fn row_21_without_the_prelude() {
    without_prelude::bare(&MemoryProcessedLog::new(), "evt_1").await.unwrap();
}
