use std::time::UNIX_EPOCH;

use super::*;
use crate::sender::hmac::{Encoding, Hash, TimeFormat};

const BODY: &[u8] = br#"{"event":{"id":"e-1","event_type":"incident.triggered"}}"#;
const NOW: u64 = 1_700_000_000;

const PAGERDUTY: HmacScheme = HmacScheme::new("X-PagerDuty-Signature", Id::Body(&["event", "id"]))
    .with_prefix("v1=")
    .with_separator(',')
    .with_type_in_body(&["event", "event_type"]);

const TIME: &str = "Twitch-Eventsub-Message-Timestamp";
const TWITCH: HmacScheme =
    HmacScheme::new("Twitch-Eventsub-Message-Signature", Id::Header("Twitch-Eventsub-Message-Id"))
        .with_prefix("sha256=")
        .with_signed_before_body(&[Part::Id, Part::TimestampHeader(TIME, TimeFormat::Rfc3339)])
        .with_type_header("Twitch-Eventsub-Subscription-Type");

/// `printf '%s' "$BODY" | openssl dgst -$HASH -hmac secret`
const BY_OPENSSL: [(Hash, &str); 3] = [
    (Hash::Sha1, "1a96bcdc41677080134a82b3a232d523abdca46c"),
    (Hash::Sha256, "c4cbc1fcb963344ae85a1fb542242a5b470dad62de96ae10bd39c736466663ec"),
    (
        Hash::Sha512,
        "8936422577b803836599a7659eec9a5dbf519d7ed314148133b9e7da1efa49d5\
         75ca09e8ced9f82a5c638e1fe654061299340b1baabf134f484e8f358ea47fd2",
    ),
];

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn verify(webhook: &HmacWebhook, body: &[u8], headers: &[(&str, &str)]) -> Result<HmacEvent, SignatureError> {
    webhook.verify_at(&Delivery::new(body).with_headers(headers.iter().copied()), at(NOW))
}

fn refusal(webhook: &HmacWebhook, body: &[u8], headers: &[(&str, &str)]) -> SignatureError {
    verify(webhook, body, headers).map(drop).unwrap_err()
}

#[test]
fn a_signature_made_by_openssl_verifies_under_each_hash() {
    for (hash, signature) in BY_OPENSSL {
        let webhook = HmacWebhook::new(PAGERDUTY.with_hash(hash), "secret");
        let header = format!("v1=00,v1={signature}");
        let event = verify(&webhook, BODY, &[("x-pagerduty-signature", &header)]).unwrap();
        assert_eq!((event.id(), event.event_type()), ("e-1", "incident.triggered"));
        assert_eq!(event.payload(), BODY);
        let signed = webhook.sign("", BODY, at(NOW)).unwrap();
        assert_eq!(signed, [("X-PagerDuty-Signature", format!("v1={signature}"))]);
    }
}

#[test]
fn what_openssl_signs_around_the_body_verifies() {
    // `printf '%s' "m-12023-11-14T22:13:20.5Z$BODY" | openssl dgst -sha256 -hmac secret`
    let twitch = HmacWebhook::new(TWITCH, "secret");
    let signature = "sha256=831eff5d84a2a7b52e4b47c41a7ba50b447089528db960520d7d4f8c4f736278";
    let headers = [
        (TWITCH.header, signature),
        ("Twitch-Eventsub-Message-Id", "m-1"),
        (TIME, "2023-11-14T22:13:20.5Z"),
        ("Twitch-Eventsub-Subscription-Type", "channel.follow"),
    ];
    let event = verify(&twitch, BODY, &headers).unwrap();
    assert_eq!((event.id(), event.event_type()), ("m-1", "channel.follow"));
    assert_eq!(twitch.headers(), ["Twitch-Eventsub-Message-Id", "Twitch-Eventsub-Subscription-Type"]);
    // `printf '%s' "v0:1700000000:${BODY}https://example.com/hook" | openssl dgst -sha512 -hmac secret -binary | base64`
    let scheme = HmacScheme::new("X-Sig", Id::BodyDigest)
        .with_hash(Hash::Sha512)
        .with_encoding(Encoding::Base64)
        .with_separator(';')
        .with_prefix("s=")
        .with_signed_before_body(&[
            Part::Text("v0:"),
            Part::TimestampElement("t=", TimeFormat::UnixSeconds),
            Part::Text(":"),
        ])
        .with_signed_after_body(&[Part::Url]);
    let webhook = HmacWebhook::new(scheme, "secret").with_url("https://example.com/hook");
    let header = "t=1700000000;s=1egLdOMtVPdSq/qVMGwah2kBWaobTqw08FMYgiBvgETfjkjbjsgFD3Iz9mBjqmu+BRKYzhi859oBrPjaTJ2P/w==";
    let event = verify(&webhook, BODY, &[("X-Sig", header)]).unwrap();
    assert_eq!(event.id(), event.signed_key());
    assert_eq!(webhook.sign("", BODY, at(NOW)).unwrap(), [("X-Sig", header.to_owned())]);
    let other_url = webhook.with_url("https://example.com/hook/");
    assert_eq!(refusal(&other_url, BODY, &[("X-Sig", header)]), SignatureError::Mismatch);
}

#[test]
fn each_scheme_says_whether_the_id_is_signed() {
    let coverage = |scheme| HmacWebhook::new(scheme, "secret").id_coverage();
    assert_eq!(coverage(TWITCH), IdCoverage::Signed);
    assert_eq!(coverage(PAGERDUTY), IdCoverage::Signed);
    assert_eq!(coverage(HmacScheme::new("X-Sig", Id::BodyDigest)), IdCoverage::Signed);
    assert_eq!(coverage(HmacScheme::new("X-Sig", Id::Header("X-Id"))), IdCoverage::Unsigned);
}

#[test]
fn a_header_that_is_not_of_the_scheme_is_refused_with_its_rule() {
    let pagerduty = HmacWebhook::new(PAGERDUTY, "secret");
    let right = format!("v1={}", BY_OPENSSL[1].1);
    let malformed = |reason| SignatureError::malformed(PAGERDUTY.header, reason);
    for (header, expected) in [
        (String::new(), malformed("it has no signature with the scheme's prefix")),
        (BY_OPENSSL[1].1.to_owned(), malformed("it has no signature with the scheme's prefix")),
        (vec![right.as_str(); 17].join(","), malformed("it has more than 16 signatures")),
        (right.to_uppercase().replace("V1", "v1"), SignatureError::Mismatch),
        (format!("{right}0"), SignatureError::Mismatch),
        ("v1=".to_owned(), SignatureError::Mismatch),
    ] {
        assert_eq!(refusal(&pagerduty, BODY, &[(PAGERDUTY.header, &header)]), expected, "{header}");
    }
    let elements = PAGERDUTY.with_signed_before_body(&[Part::TimestampElement("t=", TimeFormat::UnixMillis)]);
    let elements = HmacWebhook::new(elements, "secret");
    for (header, reason) in [
        ("v1=00", "it has no time"),
        ("t=1,v1=00,t=1", "it has more than one time"),
        ("t=now,v1=00", "it is not a Unix time in milliseconds"),
    ] {
        assert_eq!(refusal(&elements, BODY, &[(PAGERDUTY.header, header)]), malformed(reason), "{header}");
    }
}

#[test]
fn the_tolerance_counts_both_ways() {
    let twitch = HmacWebhook::new(TWITCH, "secret");
    for (seconds, is_verified) in
        [(NOW - 300, true), (NOW + 300, true), (NOW - 301, false), (NOW + 301, false)]
    {
        let headers = twitch.sign("m-1", BODY, at(seconds)).unwrap();
        let delivery = Delivery::new(BODY).with_headers(headers.iter().map(|(name, value)| (*name, value)));
        let verdict = twitch.verify_at(&delivery, at(NOW)).map(drop);
        assert_eq!(verdict.is_ok(), is_verified, "{seconds}: {verdict:?}");
        let narrow = twitch.clone().with_tolerance(Duration::ZERO).verify_at(&delivery, at(NOW)).map(drop);
        assert_eq!(matches!(narrow, Err(SignatureError::Stale { .. })), seconds < NOW);
        assert_eq!(matches!(narrow, Err(SignatureError::InFuture { .. })), seconds > NOW);
    }
}

/// Id, time and body are signed one after the other, with nothing between them.
#[test]
fn bytes_cannot_move_between_the_id_the_time_and_the_body() {
    let seconds =
        TWITCH.with_signed_before_body(&[Part::Id, Part::TimestampHeader(TIME, TimeFormat::UnixSeconds)]);
    let id = "Twitch-Eventsub-Message-Id";
    for scheme in [TWITCH, seconds, TWITCH.with_signed_before_body(&[Part::Id])] {
        let webhook = HmacWebhook::new(scheme, "secret");
        let headers = webhook.sign("m-10", BODY, at(NOW)).unwrap();
        let value =
            |wanted| headers.iter().find(|(name, _)| *name == wanted).map_or("", |(_, value)| value.as_str());
        let has_time = !value(TIME).is_empty();
        let signed = format!("m-10{}{}", value(TIME), std::str::from_utf8(BODY).unwrap());
        let time_length = value(TIME).len();
        for id_length in 0..signed.len().min(20) {
            let times = if has_time { 0..40 } else { 0..1 };
            for time_length_moved in times {
                if (id_length, time_length_moved) == (4, time_length) {
                    continue;
                }
                let (moved_id, rest) = signed.split_at(id_length);
                let (time, body) = rest.split_at(time_length_moved);
                let mut moved = vec![(scheme.header, value(scheme.header)), (id, moved_id)];
                moved.extend(has_time.then_some((TIME, time)));
                assert!(verify(&webhook, body.as_bytes(), &moved).is_err(), "{moved_id} {time} {body}");
            }
        }
    }
}

#[test]
fn an_id_of_the_body_is_there_exactly_once() {
    let webhook = HmacWebhook::new(PAGERDUTY, "secret");
    let read = |body: &[u8]| {
        let headers = webhook.sign("", body, at(NOW)).unwrap();
        let delivery = Delivery::new(body).with_headers(headers.iter().map(|(name, value)| (*name, value)));
        webhook.verify_at(&delivery, at(NOW)).map(|event| event.id().to_owned())
    };
    assert_eq!(read(br#"{"event":{"id":7}}"#).as_deref(), Ok("7"));
    assert_eq!(read(br#" {"a":[1,{}],"event":{"b":{"id":1},"id":"x"}} "#).as_deref(), Ok("x"));
    for body in [
        &br#"{"event":{"id":"a","id":"a"}}"#[..],
        br#"{"event":{"id":"a"},"event":{"id":"a"}}"#,
        br#"{"event":{"id":""}}"#,
        br#"{"event":{"id":null}}"#,
        br#"{"event":{"id":-7}}"#,
        br#"{"event":{"id":7.0}}"#,
        br#"{"event":{"id":["a"]}}"#,
        br#"{"event":["id","a"]}"#,
        br#"{"event":"id"}"#,
        br#"{"id":"a"}"#,
        br"[]",
        br#"["event"]"#,
        b"event.id=a",
        b"",
        b"\xff",
        b"\xef\xbb\xbf{\"event\":{\"id\":\"a\"}}",
    ] {
        let refused = read(body);
        assert!(matches!(refused, Err(SignatureError::Payload(_))), "{refused:?}");
    }
}

#[test]
fn a_scheme_that_makes_no_sense_refuses_with_the_reason() {
    let two_times = &[
        Part::TimestampHeader("X-A", TimeFormat::UnixSeconds),
        Part::TimestampHeader("X-B", TimeFormat::UnixSeconds),
    ];
    for (scheme, reason) in [
        (PAGERDUTY.with_signed_before_body(&[Part::Url]), "it signs the URL, and none is set"),
        (
            PAGERDUTY.with_signed_after_body(&[Part::Id]),
            "it signs the id apart from the body, and the id is in no header",
        ),
        (PAGERDUTY.with_signed_before_body(two_times), "it signs more than one time"),
    ] {
        let webhook = HmacWebhook::new(scheme, "secret");
        assert_eq!(refusal(&webhook, BODY, &[]), SignatureError::InvalidScheme { reason });
        assert_eq!(webhook.sign("", BODY, at(NOW)), Err(SignatureError::InvalidScheme { reason }));
    }
}

#[test]
fn secrets_rotate_and_empty_ones_let_nobody_in() {
    let header = format!("v1={}", BY_OPENSSL[1].1);
    let headers = [(PAGERDUTY.header, header.as_str())];
    for webhook in [
        HmacWebhook::new(PAGERDUTY, "old").with_secret(" secret\r\n"),
        HmacWebhook::new(PAGERDUTY, "secret").with_secret("").with_key([]).with_secret("new"),
        HmacWebhook::new(PAGERDUTY, "").with_key(b"secret"),
        HmacWebhook::try_new(PAGERDUTY, "secret").unwrap().try_with_secret("new").unwrap(),
    ] {
        assert!(verify(&webhook, BODY, &headers).is_ok(), "{webhook:?}");
    }
    for secret in ["", " ", "\n"] {
        let webhook = HmacWebhook::new(PAGERDUTY, secret).with_key("");
        assert_eq!(refusal(&webhook, BODY, &headers), SignatureError::NoSecret);
    }
    for (secret, flaw) in [("'secret'", InvalidSecret::Quoted), ("a\0b", InvalidSecret::Characters)] {
        assert_eq!(HmacWebhook::try_new(PAGERDUTY, secret).unwrap_err(), flaw);
        assert_eq!(refusal(&HmacWebhook::new(PAGERDUTY, secret), BODY, &headers), flaw.into());
    }
    assert!(!format!("{:?}", HmacWebhook::new(PAGERDUTY, "canary")).contains("canary"));
}
