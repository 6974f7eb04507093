//! Every reader reads the same event, and no message shows its object.

use std::sync::LazyLock;
use std::time::UNIX_EPOCH;

use ferro_idem::WebhookEvent;
use ferro_idem::stripe::{PayloadError, SignatureError, StripeEvent, StripeWebhook};
use serde_json::{Value, json};

static WEBHOOK: LazyLock<StripeWebhook> = LazyLock::new(|| StripeWebhook::new("whsec_test"));

/// The only messages about a body that is not an event, without their numbers.
const TOLD: &[&str] = &[
    "the body is not an event: not JSON from line , column  on",
    "the body is not an event: a field is missing or of another type, at line , column ",
    "the body is not an event: it lacks a non-empty `id`",
    "the body is not an event: not UTF- from byte  on",
    "the body is not an event: it begins with a byte-order mark",
    "the body is not an event: it has `id` more than once",
    "the body is not an event: it has `type` more than once",
];

/// The only messages about a part that is not a `bool`.
const TOLD_OF_OBJECT: &[&str] = &[
    "the body is not bool: not JSON from line , column  on",
    "the body is not bool: a field is missing or of another type, at line , column ",
    "the body is not an event: it lacks `data.object`",
    "the body is not an event: it lacks `related_object`",
    "the body is not an event: it lacks `data.previous_attributes`",
];

/// What `Debug` shows of these errors.
const SHOWN: &[&str] = &[
    "NotJson { line: , column:  } }",
    "Shape { line: , column:  } }",
    "NotUtf { index:  } }",
    "ByteOrderMark }",
    "Repeats(\"`id`\") }",
    "Repeats(\"`type`\") }",
    "Lacks(\"a non-empty `id`\") }",
    "Lacks(\"`data.object`\") }",
    "Lacks(\"`related_object`\") }",
    "Lacks(\"`data.previous_attributes`\") }",
];

/// The input is a payload.
///
/// # Panics
///
/// If an accessor or a message is wrong.
pub fn check(input: &[u8]) {
    let read = StripeEvent::from_unverified(input);
    assert_eq!(shown(&read), shown(&StripeEvent::from_unverified(input)), "the same bytes, another event");
    assert_the_same_when_signed(input, &read);
    match &read {
        Ok(event) => check_event(event, input),
        Err(error) => assert_says_only_where(error, TOLD),
    }
    // The envelope skips some JSON that a `Value` cannot hold: deeper nesting, or 1e999.
    if let Ok(value) = serde_json::from_slice::<Value>(input) {
        if let Ok(event) = &read {
            assert_agrees(event, &value);
            assert_object_is_not_shown(event, &value);
        }
        assert_other_fields_do_not_matter(&value);
    }
}

fn check_event(event: &StripeEvent, input: &[u8]) {
    assert_eq!(event.payload(), input);
    assert!(!event.id().is_empty());
    assert_eq!(WebhookEvent::event_type(event), Some(event.event_type()));
    let parts = [
        event.object::<bool>(),
        event.related_object::<bool>(),
        event.previous_attributes::<bool>(),
        event.decode::<bool>(),
    ];
    for error in parts.iter().filter_map(|part| part.as_ref().err()) {
        assert_says_only_where(error, TOLD_OF_OBJECT);
    }
}

fn shown(read: &Result<StripeEvent, PayloadError>) -> String {
    format!("{read:?}")
}

fn assert_the_same_when_signed(payload: &[u8], read: &Result<StripeEvent, PayloadError>) {
    let header = WEBHOOK.sign(payload, UNIX_EPOCH).expect("there is a secret");
    match (WEBHOOK.verify_at(payload, &header, UNIX_EPOCH), read) {
        (Ok(verified), Ok(read)) => assert_eq!(format!("{verified:?}"), format!("{read:?}")),
        (Err(SignatureError::Payload(refused)), Err(read)) => assert_eq!(refused, *read),
        (verified, read) => panic!("verified: {verified:?}; unverified: {read:?}"),
    }
}

fn assert_says_only_where(error: &PayloadError, told: &[&str]) {
    let without_numbers = |text: String| text.replace(|letter: char| letter.is_ascii_digit(), "");
    let text = without_numbers(error.to_string());
    assert!(told.contains(&text.as_str()), "{text}");
    let debug = without_numbers(format!("{error:?}"));
    assert!(SHOWN.iter().any(|shown| debug.ends_with(shown)), "{debug}");
}

/// An application that decodes the payload itself sees the same event.
fn assert_agrees(event: &StripeEvent, value: &Value) {
    assert_eq!(event.event_id(), value.event_id());
    assert_eq!(Some(event.event_type()), value.event_type());
    assert_eq!(event.account(), value["account"].as_str());
    assert_eq!(event.context(), value["context"].as_str());
    assert_eq!(event.api_version(), value["api_version"].as_str());
    assert_eq!(event.livemode(), value["livemode"] == true);
    let object = event.object::<Value>().unwrap_or_default();
    assert_eq!(object, value["data"]["object"]);
    let previous = event.previous_attributes::<Value>().unwrap_or_default();
    assert_eq!(previous, value["data"]["previous_attributes"]);
    assert_eq!(event.decode::<Value>().as_ref(), Ok(value));
    let of_reason = &value["reason"]["request"];
    let request = if value["request"].is_null() { of_reason } else { &value["request"] };
    assert_eq!(event.request_idempotency_key(), request["idempotency_key"].as_str());
}

/// `Debug` shows the same for another object.
fn assert_object_is_not_shown(event: &StripeEvent, value: &Value) {
    let mut other = value.clone();
    other["data"] = json!({"object": {"canary": ["canary"]}});
    let other = StripeEvent::from_unverified(&to_bytes(&other)).expect("only the object changed");
    assert_eq!(format!("{other:?}"), format!("{event:?}"));
    let error = other.object::<bool>().expect_err("the object is no bool");
    assert_says_only_where(&error, TOLD_OF_OBJECT);
}

/// An id and a type make an event, whatever other fields Stripe adds.
fn assert_other_fields_do_not_matter(value: &Value) {
    let (Some(id), Some(event_type)) = (value["id"].as_str(), value["type"].as_str()) else { return };
    let grown = json!({"new": value, "type": event_type, "newer": value, "id": id});
    let read = StripeEvent::from_unverified(&to_bytes(&grown));
    assert_eq!(read.is_ok(), !id.is_empty(), "{grown}: {read:?}");
}

fn to_bytes(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).expect("a value is JSON")
}
