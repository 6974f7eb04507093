//! The messages of verification.

use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::extract::FromRequest;
use axum::http::{HeaderValue, Request};
use ferro_idem::WebhookEvent;
use ferro_idem::stripe::{SIGNATURE_HEADER, SignatureError, StripeEvent, StripeWebhook};

use super::shown::{CANARY, all_of, assert_silent, event, payload, reply};

fn webhook() -> StripeWebhook {
    StripeWebhook::new(format!("whsec_{CANARY}")).with_secret(format!("whsec_new_{CANARY}"))
}

fn signed(payload: &str, at: SystemTime) -> String {
    webhook().sign(payload.as_bytes(), at).unwrap()
}

/// Every refusal, with a header and a payload that hold the canary where they may.
#[tokio::test]
async fn a_refusal_shows_neither_secret_nor_header_nor_body() {
    let now = SystemTime::now();
    let long = Duration::from_hours(1);
    let right = payload("evt_1");
    let hostile = |header: &str| format!("{header},v0={CANARY},{CANARY}={CANARY}");
    let no_json = format!("{{\"id\": \"evt_1\", {CANARY}");
    let no_id = format!(r#"{{"type":"{CANARY}"}}"#);
    let other_shape = format!(r#"{{"id":["{CANARY}"],"type":"{CANARY}"}}"#);
    let empty_id = format!(r#"{{"id":"","type":"{CANARY}"}}"#);
    let too_long = "x".repeat(4097);
    let many = ",v1=c4n4ry".repeat(17);
    let too_large = format!("{right}{}", " ".repeat(3 << 20));
    let two_ids = format!(r#"{{"id":"{CANARY}","type":"t","id":"{CANARY}"}}"#);
    let marked = format!("\u{feff}{right}");
    let refused: [(&str, Vec<String>, &str); 20] = [
        ("no header", vec![], &right),
        ("two headers", vec![hostile("t=1"), hostile("t=1")], &right),
        ("no element", vec![CANARY.to_owned()], &right),
        ("no time", vec![format!("v1={CANARY}")], &right),
        ("two times", vec![format!("t={CANARY},t={CANARY}")], &right),
        ("a time that is none", vec![format!("t={CANARY},v1={CANARY}")], &right),
        ("no signature", vec![hostile("t=1")], &right),
        ("too long", vec![hostile(&format!("t=1,v1={too_long}"))], &right),
        ("too many", vec![format!("t=1{many}")], &right),
        ("not ASCII", vec![format!("t=1,v1=é{CANARY}")], &right),
        ("mismatch", vec![hostile(&format!("t=1,v1={CANARY}"))], &right),
        ("stale", vec![hostile(&signed(&right, now - long))], &right),
        ("in the future", vec![hostile(&signed(&right, now + long))], &right),
        ("not JSON", vec![signed(&no_json, now)], &no_json),
        ("no id", vec![signed(&no_id, now)], &no_id),
        ("another shape", vec![signed(&other_shape, now)], &other_shape),
        ("an empty id", vec![signed(&empty_id, now)], &empty_id),
        ("two ids", vec![signed(&two_ids, now)], &two_ids),
        ("a byte-order mark", vec![signed(&marked, now)], &marked),
        ("too large", vec![signed(&too_large, now)], &too_large),
    ];
    for (case, headers, body) in refused {
        let mut request = Request::post("/").body(Body::from(body.to_owned())).unwrap();
        for header in headers {
            let header = HeaderValue::from_bytes(header.as_bytes()).unwrap();
            request.headers_mut().append(SIGNATURE_HEADER, header);
        }
        let rejection = StripeEvent::from_request(request, &webhook()).await.map(drop).expect_err(case);
        assert_silent(case, &all_of(&rejection));
        assert_silent(case, &reply(rejection).await);
    }
    let nobody = StripeWebhook::new("").verify(right.as_bytes(), CANARY).unwrap_err();
    assert_eq!(nobody, SignatureError::NoSecret);
    assert_silent("no secret", &all_of(&nobody));
}

#[tokio::test]
async fn no_refusal_of_a_secret_shows_it() {
    for secret in [
        format!("sk_live_{CANARY}"),
        format!("'whsec_{CANARY}'"),
        format!("SECRET_{CANARY}=whsec_{CANARY}"),
        format!("whsec_{CANARY} {CANARY}"),
        format!("we_{CANARY}"),
    ] {
        let webhook = StripeWebhook::new(&secret);
        assert_silent("the endpoint", &format!("{webhook:?} {webhook:#?}"));
        let refused = webhook.verify(payload("evt_1").as_bytes(), "t=1,v1=00").unwrap_err();
        assert!(matches!(refused, SignatureError::InvalidSecret(_)), "{refused:?}");
        assert_silent("the refusal", &all_of(&refused));
        assert_silent("the reply", &reply(refused).await);
        assert_silent("the construction", &all_of(&StripeWebhook::try_new(&secret).unwrap_err()));
    }
}

#[test]
fn debug_shows_neither_the_secret_nor_the_object() {
    assert_silent("the endpoint", &format!("{:?} {:#?}", webhook(), webhook()));
    let event = event("evt_1");
    assert_silent("the event", &format!("{event:?} {event:#?}"));
    let told = format!("{event:?}");
    assert!(told.contains("evt_1") && told.contains("invoice.paid"), "{told}");
    assert_silent("what the fence asks", &format!("{:?}", (event.event_id(), event.event_type())));
}

#[test]
fn no_error_of_decoding_shows_the_object() {
    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Strict {
        #[expect(dead_code, reason = "only its absence is looked at")]
        amount: u64,
    }
    #[derive(Debug, serde::Deserialize)]
    enum Named {
        #[serde(rename = "paid")]
        Paid,
    }
    let event = event("evt_1");
    for error in [
        event.object::<Strict>().unwrap_err(),
        event.object::<Named>().unwrap_err(),
        event.object::<std::collections::HashMap<String, u8>>().unwrap_err(),
        event.object::<String>().unwrap_err(),
        event.related_object::<Strict>().unwrap_err(),
        event.previous_attributes::<Strict>().unwrap_err(),
        event.decode::<Strict>().unwrap_err(),
        event.decode::<Named>().unwrap_err(),
    ] {
        assert_silent("decoding", &all_of(&error));
    }
}
