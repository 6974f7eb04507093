use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::*;

const SECRET: &str = "whsec_test_secret";
const PAYLOAD: &[u8] = br#"{"id":"evt_1","object":"event","type":"invoice.paid"}"#;
const SIGNED_AT: u64 = 1_492_774_577;

/// Made by another implementation:
/// `printf '1492774577.{"id":"evt_1","object":"event","type":"invoice.paid"}' |
///  openssl dgst -sha256 -hmac whsec_test_secret`
const BY_OPENSSL: &str = "4d38cd5139c7f60e624bf8299775d217793a8e4af46b24f70e9099b0eafff76c";
/// The same with `-hmac whsec_old_secret`.
const BY_OPENSSL_OLD: &str = "99eb3a39a31efcedad68856a502cecf8fa86e5c1e409d5cab692958fab998194";

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn verify(header: &str) -> Result<String, SignatureError> {
    let webhook = StripeWebhook::new(SECRET);
    webhook.verify_at(PAYLOAD, header, at(SIGNED_AT)).map(|event| event.id().to_owned())
}

#[test]
fn a_signature_made_by_openssl_verifies() {
    assert_eq!(verify(&format!("t={SIGNED_AT},v1={BY_OPENSSL}")).as_deref(), Ok("evt_1"));
}

#[test]
fn the_test_header_is_the_one_that_openssl_makes() {
    let header = StripeWebhook::new(SECRET).sign(PAYLOAD, at(SIGNED_AT)).unwrap();
    assert_eq!(header, format!("t={SIGNED_AT},v1={BY_OPENSSL}"));
}

#[test]
fn any_of_several_signatures_may_match() {
    let header = format!("t={SIGNED_AT},v1={BY_OPENSSL_OLD},v1={BY_OPENSSL},v0=00");
    assert_eq!(verify(&header).as_deref(), Ok("evt_1"));
}

#[test]
fn while_a_secret_rolls_over_both_are_accepted() {
    let webhook = StripeWebhook::new("whsec_old_secret").with_secret(SECRET);
    for signature in [BY_OPENSSL, BY_OPENSSL_OLD] {
        let header = format!("t={SIGNED_AT},v1={signature}");
        assert!(webhook.verify_at(PAYLOAD, &header, at(SIGNED_AT)).is_ok());
    }
}

#[test]
fn a_signature_by_another_secret_or_scheme_is_refused() {
    let upper = BY_OPENSSL.to_uppercase();
    let short = &BY_OPENSSL[..63];
    for header in [
        format!("t={SIGNED_AT},v1={BY_OPENSSL_OLD}"),
        format!("t={SIGNED_AT},v0={BY_OPENSSL},v1=00"),
        format!("t={SIGNED_AT},v1={short}"),
        format!("t={SIGNED_AT},v1={BY_OPENSSL}0"),
        format!("t={SIGNED_AT},v1="),
        format!("t={SIGNED_AT},v1={upper}"),
        format!("t={},v1={BY_OPENSSL}", SIGNED_AT + 1),
        format!("t=0{SIGNED_AT},v1={BY_OPENSSL}"),
    ] {
        assert_eq!(verify(&header), Err(SignatureError::Mismatch), "{header}");
    }
}

#[test]
fn one_changed_byte_of_the_payload_is_refused() {
    let webhook = StripeWebhook::new(SECRET);
    let header = format!("t={SIGNED_AT},v1={BY_OPENSSL}");
    for index in 0..PAYLOAD.len() {
        let mut payload = PAYLOAD.to_vec();
        payload[index] ^= 1;
        let refused = webhook.verify_at(&payload, &header, at(SIGNED_AT)).map(|_| ());
        assert_eq!(refused, Err(SignatureError::Mismatch), "byte {index}");
    }
}

#[test]
fn the_tolerance_counts_both_ways_and_includes_its_last_second() {
    let webhook = StripeWebhook::new(SECRET);
    let header = format!("t={SIGNED_AT},v1={BY_OPENSSL}");
    let refused = |now| webhook.verify_at(PAYLOAD, &header, at(now)).map(|_| ());
    let tolerance = Duration::from_mins(5);
    let over = Duration::from_secs(301);
    assert_eq!(refused(SIGNED_AT + 300), Ok(()));
    assert_eq!(refused(SIGNED_AT - 300), Ok(()));
    assert_eq!(refused(SIGNED_AT + 301), Err(SignatureError::Stale { age: over, tolerance }));
    assert_eq!(refused(SIGNED_AT - 301), Err(SignatureError::InFuture { ahead: over, tolerance }));
    let narrow = webhook.clone().with_tolerance(Duration::ZERO);
    assert!(narrow.verify_at(PAYLOAD, &header, at(SIGNED_AT)).is_ok());
    assert!(narrow.verify_at(PAYLOAD, &header, at(SIGNED_AT + 1)).is_err());
}

#[test]
fn a_forged_header_is_not_told_about_the_clock() {
    assert_eq!(verify("t=1,v1=00"), Err(SignatureError::Mismatch));
}

#[test]
fn an_empty_secret_lets_nobody_in() {
    for secret in ["", " ", "\n"] {
        let webhook = StripeWebhook::new(secret);
        let header = format!("t={SIGNED_AT},v1={BY_OPENSSL}");
        let refused = webhook.verify_at(PAYLOAD, &header, at(SIGNED_AT)).map(|_| ());
        assert_eq!(refused, Err(SignatureError::NoSecret));
        assert_eq!(webhook.sign(PAYLOAD, at(SIGNED_AT)), Err(SignatureError::NoSecret));
    }
}

#[test]
fn an_empty_second_secret_lets_nobody_in_either() {
    let webhook = StripeWebhook::new(SECRET).with_secret("");
    let mut empty = Keys::default();
    empty.try_add(Ok(b"")).unwrap();
    let forged = empty.sign(&[b"1492774577.", PAYLOAD], Encoding::LowerHex).unwrap();
    let forged = format!("t={SIGNED_AT},v1={forged}");
    let refused = webhook.verify_at(PAYLOAD, &forged, at(SIGNED_AT)).map(|_| ());
    assert_eq!(refused, Err(SignatureError::Mismatch));
}

#[test]
fn white_space_around_the_secret_does_not_matter() {
    let webhook = StripeWebhook::new(format!(" {SECRET}\r\n"));
    let header = format!("t={SIGNED_AT},v1={BY_OPENSSL}");
    assert!(webhook.verify_at(PAYLOAD, &header, at(SIGNED_AT)).is_ok());
}

#[test]
fn a_signed_body_that_is_no_event_is_refused_with_the_reason() {
    let webhook = StripeWebhook::new(SECRET);
    for payload in [&b"not json"[..], b"{}", b"\xff\xfe", b""] {
        let header = webhook.sign(payload, at(SIGNED_AT)).unwrap();
        let refused = webhook.verify_at(payload, &header, at(SIGNED_AT)).map(|_| ());
        assert!(matches!(refused, Err(SignatureError::Payload(_))), "{refused:?}");
    }
}

#[test]
fn nothing_that_is_printed_holds_the_secret() {
    let webhook = StripeWebhook::new(SECRET);
    let errors = ["", "t=1,v1=00", "t=1", "v1=0"]
        .map(|header| webhook.verify_at(PAYLOAD, header, at(SIGNED_AT)).unwrap_err());
    for printed in
        [format!("{webhook:?}"), format!("{errors:?}"), errors.map(|error| error.to_string()).join(" ")]
    {
        assert!(!printed.contains("test_secret"), "{printed}");
    }
}

#[test]
fn debug_counts_the_secrets_and_shows_none() {
    let shown = format!("{:?}", StripeWebhook::new(SECRET));
    assert_eq!(shown, "StripeWebhook { secrets: 1, tolerance: 300s }");
}

#[test]
fn what_is_no_signing_secret_is_named_when_a_delivery_comes() {
    let header = format!("t={SIGNED_AT},v1={BY_OPENSSL}");
    for (secret, flaw) in [
        ("sk_live_4eC39HqLyjWDarjtT1zdp7dc", InvalidSecret::ApiKey),
        ("\"whsec_test_secret\"", InvalidSecret::Quoted),
        ("whsec_", InvalidSecret::PrefixOnly { prefix: "whsec_" }),
    ] {
        let webhook = StripeWebhook::new(secret);
        let refused = webhook.verify_at(PAYLOAD, &header, at(SIGNED_AT)).unwrap_err();
        assert_eq!(refused, SignatureError::InvalidSecret(flaw));
        assert_eq!(webhook.sign(PAYLOAD, at(SIGNED_AT)).unwrap_err(), refused);
        let told = format!("{refused} {refused:?} {webhook:?}");
        assert!(!told.contains("4eC39") && !told.contains("test_secret"), "{told}");
    }
}

#[test]
fn a_wrong_secret_matters_only_if_no_other_matches() {
    let header = format!("t={SIGNED_AT},v1={BY_OPENSSL}");
    let webhook = StripeWebhook::new("sk_live_1").with_secret(SECRET);
    assert!(webhook.verify_at(PAYLOAD, &header, at(SIGNED_AT)).is_ok());
    let refused = webhook.verify_at(b"{}", &header, at(SIGNED_AT)).unwrap_err();
    assert_eq!(refused, SignatureError::InvalidSecret(InvalidSecret::ApiKey));
}

#[test]
fn a_server_can_refuse_a_wrong_secret_at_its_start() {
    assert!(StripeWebhook::try_new(SECRET).is_ok());
    assert_eq!(StripeWebhook::try_new("").unwrap_err(), InvalidSecret::Empty);
    assert_eq!(StripeWebhook::try_new("secret").unwrap_err(), InvalidSecret::NoPrefix { prefix: "whsec_" });
    let one = StripeWebhook::try_new("whsec_old_secret").unwrap();
    assert_eq!(one.clone().try_with_secret("").unwrap_err(), InvalidSecret::Empty);
    let both = one.try_with_secret(SECRET).unwrap();
    for signature in [BY_OPENSSL, BY_OPENSSL_OLD] {
        let header = format!("t={SIGNED_AT},v1={signature}");
        assert!(both.verify_at(PAYLOAD, &header, at(SIGNED_AT)).is_ok());
    }
}

#[test]
fn a_verified_event_is_testable_by_its_signature() {
    let payload = br#"{"id":"evt_00000000000000","type":"invoice.paid"}"#;
    let webhook = StripeWebhook::new(SECRET);
    let header = webhook.sign(payload, at(SIGNED_AT)).unwrap();
    let event = webhook.verify_at(payload, &header, at(SIGNED_AT)).unwrap();
    let key = crate::EventRef::of(&event.testable()).unwrap().id().to_owned();
    assert_eq!(key, format!("evt_00000000000000@{SIGNED_AT}"));
}
