use super::*;

const SNAPSHOT: &str = r#"{
    "id": "evt_1NG8Du2eZvKYlo2CUI79vXWy", "object": "event", "api_version": "2019-02-19",
    "created": 1686089970, "type": "setup_intent.created", "livemode": true,
    "account": "acct_1", "pending_webhooks": 0,
    "data": {"object": {"id": "seti_1", "secret_note": "canary", "amount": 12}},
    "request": {"id": null, "idempotency_key": null}
}"#;

const THIN: &str = r#"{
    "id": "evt_65RCjj4EqW1sabcjs2Z16RCMoNQdSQkOWvfL6L5uU2K40u", "object": "v2.core.event",
    "type": "v1.billing.meter.error_report_triggered", "context": "acct_1", "livemode": false,
    "created": "2025-01-01T00:00:00.000Z", "reason": null,
    "related_object": {"id": "mtr_1", "type": "billing.meter", "url": "/v1/billing/meters/mtr_1"}
}"#;

fn parse(payload: &str) -> Result<StripeEvent, PayloadError> {
    StripeEvent::from_unverified(payload.as_bytes())
}

#[test]
fn a_snapshot_event_is_read() {
    let event = parse(SNAPSHOT).unwrap();
    assert_eq!(event.id(), "evt_1NG8Du2eZvKYlo2CUI79vXWy");
    assert_eq!(event.event_type(), "setup_intent.created");
    assert_eq!(event.account(), Some("acct_1"));
    assert_eq!(event.api_version(), Some("2019-02-19"));
    assert_eq!(event.created(), Some(&Created::UnixSeconds(1_686_089_970)));
    assert!(event.livemode());
    assert_eq!(event.context(), None);
    let key = crate::EventRef::of(&event).unwrap();
    assert_eq!((key.id(), key.event_type()), (event.id(), Some("setup_intent.created")));
    let object: serde_json::Value = event.object().unwrap();
    assert_eq!(object["amount"], 12);
}

#[test]
fn a_thin_event_is_read() {
    let event = parse(THIN).unwrap();
    assert_eq!(event.event_type(), "v1.billing.meter.error_report_triggered");
    assert_eq!(event.created(), Some(&Created::Rfc3339("2025-01-01T00:00:00.000Z".into())));
    assert!(!event.livemode());
    assert_eq!(event.context(), Some("acct_1"));
    let related: serde_json::Value = event.related_object().unwrap();
    assert_eq!(related["id"], "mtr_1");
    assert_eq!(
        event.object::<serde_json::Value>().unwrap_err().to_string(),
        "the body is not an event: it lacks `data.object`"
    );
}

#[test]
fn fields_that_stripe_may_add_or_drop_do_not_matter() {
    let event = parse(r#"{"type": "t", "new": [1, {"deep": null}], "id": "evt_1"}"#).unwrap();
    assert_eq!((event.id(), event.account(), event.created()), ("evt_1", None, None));
}

#[test]
fn what_is_not_an_event_is_refused_with_the_place() {
    for (payload, message) in [
        ("", "the body is not an event: not JSON from line 1, column 0 on"),
        ("not json", "the body is not an event: not JSON from line 1, column 2 on"),
        ("{\"id\": \"evt_1\"", "the body is not an event: not JSON from line 1, column 14 on"),
        ("[]", "the body is not an event: a field is missing or of another type, at line 1, column 0"),
        (
            r#"{"type": "t"}"#,
            "the body is not an event: a field is missing or of another type, at line 1, column 13",
        ),
        (
            r#"{"id": 7, "type": "t"}"#,
            "the body is not an event: a field is missing or of another type, at line 1, column 8",
        ),
        (r#"{"id": "", "type": "t"}"#, "the body is not an event: it lacks a non-empty `id`"),
    ] {
        assert_eq!(parse(payload).unwrap_err().to_string(), message);
    }
}

#[test]
fn an_array_is_no_event_and_no_data() {
    let error = parse(r#"["evt_1", "invoice.paid"]"#).unwrap_err().to_string();
    assert!(error.contains("a field is missing or of another type"), "{error}");
    let event = parse(r#"{"id": "evt_1", "type": "invoice.paid", "data": [{"amount": 12}]}"#).unwrap();
    let error = event.object::<serde_json::Value>().unwrap_err().to_string();
    assert_eq!(error, "the body is not an event: it lacks `data.object`");
}

#[test]
fn neither_debug_nor_an_error_shows_the_object() {
    let event = parse(SNAPSHOT).unwrap();
    let error = event.object::<String>().unwrap_err();
    let error_in_field = event.object::<std::collections::HashMap<String, u8>>().unwrap_err();
    for text in [format!("{event:?}"), format!("{error} {error:?}"), format!("{error_in_field:?}")] {
        assert!(!text.contains("canary"), "{text}");
    }
    assert!(format!("{event:?}").contains("evt_1NG8Du2eZvKYlo2CUI79vXWy"));
}

const TESTED: &str = r#"{"id": "evt_00000000000000", "type": "invoice.paid", "livemode": false}"#;

#[test]
fn only_the_id_and_the_type_of_an_event_are_strict() {
    for field in [
        "account",
        "context",
        "livemode",
        "created",
        "api_version",
        "data",
        "related_object",
        "request",
        "reason",
        "new",
    ] {
        for value in [
            "null",
            "true",
            "7",
            "-7",
            "1493884202.8321862",
            "1e999",
            "\"text\"",
            "\"\\ud800\"",
            "[]",
            "{}",
            "[7]",
            r#"{"object": 7, "previous_attributes": 7, "id": 7, "idempotency_key": 7, "request": 7}"#,
        ] {
            let payload =
                format!(r#"{{"id": "evt_1", "{field}": {value}, "type": "t", "{field}": {value}}}"#);
            let event = parse(&payload).unwrap_or_else(|error| panic!("{payload}: {error}"));
            assert_eq!((event.id(), event.event_type()), ("evt_1", "t"), "{payload}");
        }
    }
    let unknown_name = r#"{"\ud800": 1, "id": "evt_1", "type": "t"}"#;
    assert_eq!(parse(unknown_name).unwrap().id(), "evt_1");
    let deep =
        format!(r#"{{"id": "evt_1", "type": "t", "data": {}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(parse(&deep).unwrap().id(), "evt_1");
}

#[test]
fn the_time_of_creation_is_read_in_every_form() {
    let created = |value: &str| {
        let payload = format!(r#"{{"id": "evt_1", "type": "t", "created": {value}}}"#);
        parse(&payload).unwrap().created().cloned()
    };
    let seconds = |seconds| Some(Created::UnixSeconds(seconds));
    assert_eq!(created("1493884202"), seconds(1_493_884_202));
    assert_eq!(created("1493884202.8321862"), seconds(1_493_884_202));
    assert_eq!(created("1.493884202e9"), seconds(1_493_884_202));
    assert_eq!(created("-0.5"), seconds(-1));
    assert_eq!(created("\"2025-01-01T00:00:00Z\""), Some(Created::Rfc3339("2025-01-01T00:00:00Z".into())));
    for absent in ["null", "1e999", "1e300", "true", "[1]", "{}"] {
        assert_eq!(created(absent), None, "{absent}");
    }
}

#[test]
fn an_id_or_type_that_is_there_twice_is_refused() {
    for (payload, message) in [
        (
            r#"{"id": "evt_1", "id": "evt_2", "type": "t"}"#,
            "the body is not an event: it has `id` more than once",
        ),
        (
            r#"{"id": "evt_1", "id": "evt_1", "type": "t"}"#,
            "the body is not an event: it has `id` more than once",
        ),
        (
            r#"{"id": "evt_1", "i\u0064": 7, "type": "t"}"#,
            "the body is not an event: it has `id` more than once",
        ),
        (
            r#"{"type": "t", "id": "evt_1", "type": null}"#,
            "the body is not an event: it has `type` more than once",
        ),
    ] {
        assert_eq!(parse(payload).unwrap_err().to_string(), message, "{payload}");
    }
    let inner = r#"{"id": "evt_1", "type": "t", "data": {"object": {"id": "a", "id": "b"}}}"#;
    assert_eq!(parse(inner).unwrap().id(), "evt_1");
}

#[test]
fn bytes_that_are_no_text_are_refused_with_the_rule() {
    let mut payload = br#"{"id": "evt_1", "type": "t", "note": "x"}"#.to_vec();
    payload[38] = 0xff;
    let error = StripeEvent::from_unverified(&payload).unwrap_err();
    assert_eq!(error.to_string(), "the body is not an event: not UTF-8 from byte 38 on");
    let error = parse("\u{feff}{}").unwrap_err();
    assert_eq!(error.to_string(), "the body is not an event: it begins with a byte-order mark");
}

#[test]
fn the_whole_payload_and_each_part_of_it_decode() {
    let payload = r#"{
        "id": "evt_1", "type": "customer.subscription.updated", "pending_webhooks": 2,
        "data": {"object": {"status": "active"}, "previous_attributes": {"status": "trialing"}},
        "request": {"id": "req_1", "idempotency_key": "key-1"}
    }"#;
    let event = parse(payload).unwrap();
    assert_eq!(event.payload(), payload.as_bytes());
    let whole: serde_json::Value = event.decode().unwrap();
    assert_eq!(whole["pending_webhooks"], 2);
    assert_eq!(event.object::<serde_json::Value>().unwrap(), whole["data"]["object"]);
    let previous: serde_json::Value = event.previous_attributes().unwrap();
    assert_eq!(previous, whole["data"]["previous_attributes"]);
    assert_eq!(event.request_id(), Some("req_1"));
    assert_eq!(event.request_idempotency_key(), Some("key-1"));
    let lacks = parse(SNAPSHOT).unwrap().previous_attributes::<serde_json::Value>().unwrap_err();
    assert_eq!(lacks.to_string(), "the body is not an event: it lacks `data.previous_attributes`");
}

#[test]
fn the_request_is_read_in_every_form() {
    let request = |fields: &str| {
        let event = parse(&format!(r#"{{"id": "evt_1", "type": "t", {fields}}}"#)).unwrap();
        (event.request_id().map(str::to_owned), event.request_idempotency_key().map(str::to_owned))
    };
    let expected = |id: Option<&str>, key: Option<&str>| (id.map(str::to_owned), key.map(str::to_owned));
    assert_eq!(request(r#""request": "req_1""#), expected(Some("req_1"), None));
    assert_eq!(
        request(r#""request": {"id": "req_1", "idempotency_key": null}"#),
        expected(Some("req_1"), None)
    );
    assert_eq!(request(r#""request": {"id": null, "idempotency_key": "k"}"#), expected(None, Some("k")));
    let thin = r#""reason": {"type": "request", "request": {"id": "req_1", "idempotency_key": "k"}}"#;
    assert_eq!(request(thin), expected(Some("req_1"), Some("k")));
    assert_eq!(request(r#""request": null, "reason": null"#), expected(None, None));
}

#[test]
fn each_test_of_the_dashboard_has_a_key_of_its_own() {
    let key = |event: &StripeEvent| event.testable().event_id().to_owned();
    let at = |second| StripeEvent::from_verified(TESTED.as_bytes(), second).unwrap();
    assert!(at(1).is_dashboard_test());
    assert_eq!(at(1).event_id(), "evt_00000000000000");
    assert_eq!(key(&at(1)), "evt_00000000000000@1");
    assert_eq!(key(&at(2)), "evt_00000000000000@2");
    assert_eq!(WebhookEvent::event_type(&at(1).testable()), Some("invoice.paid"));
    assert_eq!(key(&parse(TESTED).unwrap()), "evt_00000000000000");
    let real = StripeEvent::from_verified(SNAPSHOT.as_bytes(), 1).unwrap();
    assert!(!real.is_dashboard_test());
    assert_eq!(key(&real), real.id());
}
