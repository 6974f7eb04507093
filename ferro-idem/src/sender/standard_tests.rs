use std::time::UNIX_EPOCH;

use super::*;

/// Svix's own vector (<https://docs.svix.com/receiving/verifying-payloads/how-manual>).
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const SIGNED_AT: u64 = 1_614_265_330;
const BODY: &[u8] = br#"{"test": 2432232314}"#;
const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn delivery<'a>(family: &Headers, [id, time, signature]: [&'a str; 3]) -> Delivery<'a> {
    let headers = [(family.id, id), (family.timestamp, time), (family.signature, signature)];
    Delivery::new(BODY).with_headers(headers)
}

fn verify(values: [&str; 3]) -> Result<String, SignatureError> {
    let delivery = delivery(&STANDARD, values);
    StandardWebhook::new(SECRET).verify_at(&delivery, at(SIGNED_AT)).map(|event| event.id().to_owned())
}

#[test]
fn svixs_own_vector_verifies_under_both_families_of_headers() {
    let webhook = StandardWebhook::new(SECRET);
    let signed = webhook.sign(ID, BODY, at(SIGNED_AT)).unwrap();
    assert_eq!(signed, [ID, "1614265330", SIGNATURE]);
    for family in [&STANDARD, &SVIX] {
        let delivery = delivery(family, [ID, "1614265330", SIGNATURE]);
        let event = webhook.verify_at(&delivery, at(SIGNED_AT)).unwrap();
        assert_eq!((event.id(), event.event_type(), event.payload()), (ID, "", BODY));
    }
    for secret in ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", " whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"] {
        let delivery = delivery(&STANDARD, [ID, "1614265330", SIGNATURE]);
        assert!(StandardWebhook::new(secret).verify_at(&delivery, at(SIGNED_AT)).is_ok());
    }
}

#[test]
fn any_of_several_signatures_may_match_and_others_are_ignored() {
    let other = StandardWebhook::new("whsec_b3RoZXI=").sign(ID, BODY, at(SIGNED_AT)).unwrap();
    let [_, _, other] = other;
    for signature in [
        format!("{other} {SIGNATURE}"),
        format!("{SIGNATURE} {other}"),
        format!(
            "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg== {SIGNATURE}"
        ),
        format!("junk  v1 v2, {SIGNATURE}"),
    ] {
        assert_eq!(verify([ID, "1614265330", &signature]).as_deref(), Ok(ID), "{signature}");
    }
}

#[test]
fn a_forgery_is_refused() {
    let base64 = SIGNATURE.strip_prefix("v1,").unwrap();
    for signature in [
        SIGNATURE.trim_end_matches('=').to_owned(),
        format!("{SIGNATURE}="),
        SIGNATURE.replace("OE=", "OF="),
        "v1,".to_owned(),
        SIGNATURE.to_lowercase(),
    ] {
        let refused = verify([ID, "1614265330", &signature]);
        assert_eq!(refused, Err(SignatureError::Mismatch), "{signature}");
    }
    assert_eq!(verify(["msg_2", "1614265330", SIGNATURE]), Err(SignatureError::Mismatch));
    assert_eq!(verify([ID, "1614265331", SIGNATURE]), Err(SignatureError::Mismatch));
    let malformed = |header, reason| Err(SignatureError::malformed(header, reason));
    assert_eq!(verify([ID, "1614265330", base64]), malformed("webhook-signature", "it has no `v1,`"));
    let many = [SIGNATURE; 17].join(" ");
    assert_eq!(
        verify([ID, "1614265330", &many]),
        malformed("webhook-signature", "it has more than 16 `v1,`")
    );
    assert_eq!(verify(["", "1614265330", SIGNATURE]), malformed("webhook-id", "it is empty"));
    for time in ["", "+1614265330", "now", "1e9", "-1", "99999999999999999999"] {
        let expected = malformed("webhook-timestamp", "it is not a Unix time in seconds");
        assert_eq!(verify([ID, time, SIGNATURE]), expected, "{time}");
    }
}

/// `msg.1614265330` with the body `{}` signs the same bytes as `msg` with the body `1614265330.{}`.
#[test]
fn bytes_of_the_body_cannot_move_into_the_id() {
    let webhook = StandardWebhook::new(SECRET);
    let [_, time, signature] = webhook.sign("msg", b"1614265330.{}", at(SIGNED_AT)).unwrap();
    let moved = Delivery::new(b"{}").with_headers([
        (STANDARD.id, "msg.1614265330"),
        (STANDARD.timestamp, &time),
        (STANDARD.signature, &signature),
    ]);
    let refused = webhook.verify_at(&moved, at(SIGNED_AT)).unwrap_err();
    assert_eq!(refused, SignatureError::malformed("webhook-id", "it has a dot"));
}

#[test]
fn the_tolerance_counts_both_ways() {
    let webhook = StandardWebhook::new(SECRET);
    let delivery = delivery(&STANDARD, [ID, "1614265330", SIGNATURE]);
    let verdict = |now| webhook.verify_at(&delivery, at(now)).map(drop);
    assert_eq!(verdict(SIGNED_AT + 300), Ok(()));
    assert_eq!(verdict(SIGNED_AT - 300), Ok(()));
    assert!(matches!(verdict(SIGNED_AT + 301), Err(SignatureError::Stale { .. })));
    assert!(matches!(verdict(SIGNED_AT - 301), Err(SignatureError::InFuture { .. })));
}

#[test]
fn the_families_of_headers_are_not_mixed() {
    let webhook = StandardWebhook::new(SECRET);
    let mixed = Delivery::new(BODY).with_headers([
        (SVIX.id, ID),
        (SVIX.timestamp, "1614265330"),
        (STANDARD.signature, SIGNATURE),
    ]);
    let refused = webhook.verify_at(&mixed, at(SIGNED_AT)).unwrap_err();
    assert_eq!(refused, SignatureError::MissingHeader { header: "webhook-id" });
    let other_id = delivery(&STANDARD, [ID, "1614265330", SIGNATURE]).with_header(SVIX.id, "msg_other");
    assert_eq!(webhook.verify_at(&other_id, at(SIGNED_AT)).unwrap().id(), ID);
}

#[test]
fn a_secret_that_is_none_is_named() {
    let prefix = PREFIX;
    for (secret, flaw) in [
        ("", InvalidSecret::Empty),
        ("whsec_", InvalidSecret::PrefixOnly { prefix }),
        ("pdl_ntfset_1", InvalidSecret::OtherSender),
        ("'whsec_b3RoZXI='", InvalidSecret::Quoted),
        ("whsec_b3RoZXI*", InvalidSecret::NotBase64),
        ("whsec_b3RoZXJ=", InvalidSecret::NotBase64),
        ("whsec_=", InvalidSecret::NotBase64),
    ] {
        assert_eq!(StandardWebhook::try_new(secret).unwrap_err(), flaw, "{secret:?}");
    }
    assert!(StandardWebhook::try_new("whsec_b3RoZXI").is_ok(), "padding is optional");
}
