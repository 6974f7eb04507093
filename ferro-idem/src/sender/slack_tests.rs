use std::time::UNIX_EPOCH;

use super::*;

/// Slack's own vector (<https://docs.slack.dev/authentication/verifying-requests-from-slack>).
const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
const SIGNED_AT: u64 = 1_531_420_618;
const COMMAND: &[u8] = b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow\
    &channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner\
    &command=%2Fwebhook-collect&text=\
    &response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN\
    &trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
const SIGNATURE_OF_COMMAND: &str = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
const BODY: &[u8] =
    br#"{"type":"event_callback","event_id":"Ev1","team_id":"T1","event":{"type":"app_mention","text":"hi"}}"#;

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn delivery<'a>(body: &'a [u8], timestamp: &'a str, signature: &'a str) -> Delivery<'a> {
    Delivery::new(body).with_headers([(TIMESTAMP, timestamp), (SIGNATURE, signature)])
}

fn verify(body: &[u8], timestamp: &str, signature: &str) -> Result<String, SignatureError> {
    let delivery = delivery(body, timestamp, signature);
    SlackWebhook::new(SECRET).verify_at(&delivery, at(SIGNED_AT)).map(|event| event.id().to_owned())
}

#[test]
fn the_signature_of_slacks_documentation_is_right() {
    let signed = SlackWebhook::new(SECRET).sign(COMMAND, at(SIGNED_AT)).unwrap();
    assert_eq!(signed, ["1531420618", SIGNATURE_OF_COMMAND]);
    let read = verify(COMMAND, "1531420618", SIGNATURE_OF_COMMAND);
    assert!(matches!(read, Err(SignatureError::Payload(_))), "signed, and a command, no event");
}

#[test]
fn an_event_is_read() {
    let slack = SlackWebhook::new(SECRET);
    let [timestamp, signature] = slack.sign(BODY, at(SIGNED_AT)).unwrap();
    let delivery = delivery(BODY, &timestamp, &signature).with_header("X-Slack-Retry-Num", "2");
    let event = slack.verify_at(&delivery, at(SIGNED_AT)).unwrap();
    assert_eq!((event.id(), event.event_type(), event.team_id()), ("Ev1", "app_mention", Some("T1")));
    assert_eq!((event.retry(), event.payload()), (2, BODY));
    assert_eq!(event.event::<serde_json::Value>().unwrap()["text"], "hi");
    assert!(!format!("{event:?} {slack:?}").contains("hi"));
}

#[test]
fn a_forgery_is_refused() {
    let [timestamp, signature] = SlackWebhook::new(SECRET).sign(BODY, at(SIGNED_AT)).unwrap();
    assert_eq!(verify(BODY, &timestamp, &signature).as_deref(), Ok("Ev1"));
    let upper = signature.replace("v0=", "").to_uppercase();
    for forged in [format!("v0={upper}"), format!("{signature}0"), "v0=".to_owned()] {
        assert_eq!(verify(BODY, &timestamp, &forged), Err(SignatureError::Mismatch), "{forged}");
    }
    assert_eq!(verify(BODY, "1531420619", &signature), Err(SignatureError::Mismatch));
    assert_eq!(verify(b"{}", &timestamp, &signature), Err(SignatureError::Mismatch));
    let malformed = |header, reason| Err(SignatureError::malformed(header, reason));
    assert_eq!(verify(BODY, &timestamp, &upper), malformed(SIGNATURE, "it does not begin with `v0=`"));
    assert_eq!(verify(BODY, "now", &signature), malformed(TIMESTAMP, "it is not a Unix time in seconds"));
    for (seconds, is_stale) in [(SIGNED_AT + 301, true), (SIGNED_AT - 301, false)] {
        let delivery = delivery(BODY, &timestamp, &signature);
        let refused = SlackWebhook::new(SECRET).verify_at(&delivery, at(seconds)).unwrap_err();
        assert_eq!(matches!(refused, SignatureError::Stale { .. }), is_stale);
        assert_eq!(matches!(refused, SignatureError::InFuture { .. }), !is_stale);
    }
}

#[test]
fn an_event_without_its_id_is_refused() {
    for body in [
        &br#"{"type":"app_rate_limited"}"#[..],
        br#"{"event_id":""}"#,
        br#"{"event_id":7}"#,
        b"[]",
        br#"{"event_id":"a","event_id":"b"}"#,
    ] {
        let [timestamp, signature] = SlackWebhook::new(SECRET).sign(body, at(SIGNED_AT)).unwrap();
        let refused = verify(body, &timestamp, &signature);
        assert!(matches!(refused, Err(SignatureError::Payload(_))), "{refused:?}");
    }
}

#[test]
fn a_challenge_is_answered_only_if_it_is_signed() {
    let slack = SlackWebhook::new(SECRET);
    let challenge = br#"{"token":"t","challenge":"3eZbrw1a","type":"url_verification"}"#;
    let [timestamp, signature] = slack.sign(challenge, SystemTime::now()).unwrap();
    let answer = |delivery: &Delivery<'_>| slack.handshake(delivery);
    assert_eq!(answer(&delivery(challenge, &timestamp, &signature)), Ok(Some("3eZbrw1a".to_owned())));
    assert_eq!(answer(&delivery(challenge, &timestamp, "v0=00")), Err(SignatureError::Mismatch));
    assert_eq!(answer(&Delivery::new(challenge)), Err(SignatureError::MissingHeader { header: TIMESTAMP }));
    assert_eq!(answer(&Delivery::new(BODY)), Ok(None));
    assert_eq!(answer(&Delivery::new(COMMAND)), Ok(None));
}

#[test]
fn the_check_of_the_certificate_is_answered_unsigned() {
    let slack = SlackWebhook::new(SECRET);
    assert_eq!(slack.handshake(&Delivery::new(b"ssl_check=1&token=t")), Ok(Some(String::new())));
    for other in
        [&b"ssl_check=0"[..], br#"{"ssl_check":1}"#, br#"{"text":"&ssl_check=1&"}"#, b"xssl_check=1", b""]
    {
        assert_eq!(slack.handshake(&Delivery::new(other)), Ok(None));
    }
}
