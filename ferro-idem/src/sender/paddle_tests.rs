use std::time::UNIX_EPOCH;

use super::*;

const SECRET: &str = "pdl_ntfset_test";
const BODY: &[u8] = br#"{"event_id":"evt_1","event_type":"transaction.completed","notification_id":"ntf_1"}"#;
const SIGNED_AT: u64 = 1_671_552_777;
/// Made by another implementation: `printf '%s' "1671552777:$BODY" | openssl dgst -sha256 -hmac pdl_ntfset_test`
const BY_OPENSSL: &str = "4f60f1ccc084d6b0167048d16c0755b7cb7bb22b51b05655c639948976ebbf97";

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn verify_at(body: &[u8], header: &str, now: u64) -> Result<String, SignatureError> {
    let delivery = Delivery::new(body).with_header("paddle-signature", header);
    PaddleWebhook::new(SECRET).verify_at(&delivery, at(now)).map(|event| event.id().to_owned())
}

fn verify(header: &str) -> Result<String, SignatureError> {
    verify_at(BODY, header, SIGNED_AT)
}

#[test]
fn a_signature_made_by_openssl_verifies() {
    let header = PaddleWebhook::new(SECRET).sign(BODY, at(SIGNED_AT)).unwrap();
    assert_eq!(header, format!("ts={SIGNED_AT};h1={BY_OPENSSL}"));
    assert_eq!(verify(&header).as_deref(), Ok("evt_1"));
}

#[test]
fn any_of_several_signatures_may_match() {
    for header in [
        format!("ts={SIGNED_AT};h1=00;h1={BY_OPENSSL}"),
        format!("ts={SIGNED_AT};h1={BY_OPENSSL};h1=00"),
        format!("h1={BY_OPENSSL};h2=00;ts={SIGNED_AT}"),
    ] {
        assert_eq!(verify(&header).as_deref(), Ok("evt_1"), "{header}");
    }
    let delivery_header = format!("ts={SIGNED_AT};h1={BY_OPENSSL}");
    let delivery = Delivery::new(BODY).with_header(FORM.header, &delivery_header);
    let rotated = PaddleWebhook::new("pdl_ntfset_old").with_secret(SECRET);
    let event = rotated.verify_at(&delivery, at(SIGNED_AT)).unwrap();
    assert_eq!((event.event_type(), event.notification_id()), ("transaction.completed", Some("ntf_1")));
}

#[test]
fn a_forgery_is_refused() {
    for header in [
        format!("ts={SIGNED_AT};h1={}", BY_OPENSSL.to_uppercase()),
        format!("ts={SIGNED_AT};h1={BY_OPENSSL}0"),
        format!("ts={};h1={BY_OPENSSL}", SIGNED_AT + 1),
    ] {
        assert_eq!(verify(&header), Err(SignatureError::Mismatch), "{header}");
    }
    for (header, reason) in [
        (format!("ts={SIGNED_AT}"), "it has no `h1=`"),
        (format!("h1={BY_OPENSSL}"), "it has no `ts=`"),
        (format!("ts=1;ts={SIGNED_AT};h1={BY_OPENSSL}"), "it has more than one `ts=`"),
        (format!("ts=now;h1={BY_OPENSSL}"), "its `ts=` is not a Unix time in seconds"),
        (String::new(), "an element has no `=`"),
    ] {
        assert_eq!(verify(&header), Err(SignatureError::malformed("Paddle-Signature", reason)), "{header}");
    }
}

#[test]
fn the_tolerance_is_five_seconds_both_ways() {
    let header = format!("ts={SIGNED_AT};h1={BY_OPENSSL}");
    assert!(verify_at(BODY, &header, SIGNED_AT + 5).is_ok());
    assert!(verify_at(BODY, &header, SIGNED_AT - 5).is_ok());
    assert!(matches!(verify_at(BODY, &header, SIGNED_AT + 6), Err(SignatureError::Stale { .. })));
    assert!(matches!(verify_at(BODY, &header, SIGNED_AT - 6), Err(SignatureError::InFuture { .. })));
}

#[test]
fn a_secret_that_is_none_is_named() {
    let prefix = "pdl_ntfset_";
    for (secret, flaw) in [
        ("pdl_live_apikey_1", InvalidSecret::ApiKey),
        ("ntfset_1", InvalidSecret::EndpointId),
        ("whsec_1", InvalidSecret::OtherSender),
        ("pdl_ntfset_", InvalidSecret::PrefixOnly { prefix }),
        ("secret", InvalidSecret::NoPrefix { prefix }),
    ] {
        assert_eq!(PaddleWebhook::try_new(secret).unwrap_err(), flaw, "{secret}");
    }
}
