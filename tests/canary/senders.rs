//! The messages of verification, for each sender and each kind of bad input.

use ferro_idem::sender::SignatureError;
use ferro_idem_tests::senders::{NOW, PROFILES, at, body, cases, delivery};

use super::shown::{CANARY, all_of, assert_silent, assert_traces_are_silent, listen, reply};

#[tokio::test]
async fn no_refusal_by_any_sender_shows_a_secret_a_header_or_a_body() {
    listen();
    for profile in PROFILES {
        for case in cases(profile) {
            let secrets: Vec<&str> = case.secrets.iter().map(String::as_str).collect();
            let endpoint = (profile.endpoint)(&secrets);
            let who = format!("{}: {}", profile.name, case.name);
            let refused = endpoint.verify(&case.delivery(), at(NOW)).expect_err(&who);
            assert_told_nothing(&who, profile.secrets, &endpoint.shown());
            assert_told_nothing(&who, profile.secrets, &all_of(&refused));
            if let SignatureError::InvalidSecret(_) = refused {
                let flaw = (profile.try_new)(secrets[0]).expect_err(&who);
                assert_told_nothing(&who, profile.secrets, &all_of(&flaw));
            }
            if let Err(error) = endpoint.decode(&case.delivery()) {
                assert_told_nothing(&who, profile.secrets, &all_of(&error));
            }
            assert_told_nothing(&who, profile.secrets, &reply(refused).await);
        }
    }
    let words: &[&str] =
        if cfg!(feature = "tracing") { &["signature refused", "github", "paddle"] } else { &[] };
    assert_traces_are_silent(words);
}

fn assert_told_nothing(who: &str, secrets: [&str; 2], told: &str) {
    assert_silent(who, told);
    for secret in secrets.map(|secret| secret.rsplit('_').next().unwrap_or(secret)) {
        assert!(secret == "other" || !told.contains(secret), "{who} holds the secret: {told}");
    }
}

#[test]
fn no_debug_of_any_sender_shows_a_secret_or_a_body() {
    for profile in PROFILES {
        let endpoint = (profile.endpoint)(&profile.secrets);
        assert_told_nothing(profile.name, profile.secrets, &endpoint.shown());
        let body = body("e-1", CANARY);
        let headers = endpoint.sign("e-1", body.as_bytes(), at(NOW)).unwrap();
        let delivery = delivery(body.as_bytes(), &headers);
        assert_silent(profile.name, &format!("{delivery:?} {delivery:#?}"));
        let event = endpoint.verify(&delivery, at(NOW)).unwrap();
        assert_silent(profile.name, &event.shown);
        assert!(event.shown.contains("e-1"), "{}: {}", profile.name, event.shown);
    }
}
