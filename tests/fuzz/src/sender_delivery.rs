//! Without the secret nobody is accepted, with it every event is, and no message shows what arrived.

use ferro_idem::sender::SignatureError;
use serde_json::Value;

use crate::senders::{Endpoint, Event, Headers, IdPlace, NOW, PROFILES, Profile, at, delivery};

/// What stands for the right value of a header, which a fuzzer cannot guess.
const SIGNED: &str = "SIGNED";

/// The first line holds the values of the headers, separated by `|`, in the order in which they are signed; a header
/// without a value is not sent. The other lines are the body.
///
/// # Panics
///
/// If the verdict differs from the documentation.
pub fn check(sender: &str, input: &[u8]) {
    let profile = PROFILES.iter().find(|profile| profile.name == sender).expect("a sender of the table");
    let (line, body) = input.split_at(input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len()));
    let body = body.strip_prefix(b"\n").unwrap_or(body);
    let line = String::from_utf8_lossy(line);
    let values: Vec<&str> = line.split('|').collect();
    let endpoint = profile.first();
    let right = endpoint.sign("id-1", body, at(NOW)).expect("there is a secret");

    // A fuzzer that watches comparisons learns the right signature, and then has it from the endpoint.
    let tail = right
        .iter()
        .find(|(name, _)| *name == profile.signature)
        .and_then(|(_, text)| text.get(text.len() - 40..));
    if tail.is_some_and(|tail| line.contains(tail)) {
        return;
    }
    let given = with_values(&right, &values);
    assert_refused(profile, &*endpoint, body, &given);
    let other = (profile.endpoint)(&profile.secrets[1..]);
    let forged = other.sign("id-1", body, at(NOW)).expect("there is a secret");
    assert_refused(profile, &*endpoint, body, &with_values(&forged, &signed_values(&forged, &values)));

    let given = with_values(&right, &signed_values(&right, &values));
    match endpoint.verify(&delivery(body, &given), at(NOW)) {
        Ok(event) => check_event(profile, &*endpoint, body, &given, &event),
        Err(error) => {
            assert_says_only_where(&error);
            let is_payload = matches!(error, SignatureError::Payload(_));
            assert!(given != right || is_payload, "it is signed: {error}");
            assert!(!is_payload || !is_certainly_an_event(profile, body), "it is an event: {error}");
        }
    }
}

/// The values, with the right one in each place that is left to it.
fn signed_values(right: &Headers, values: &[&str]) -> Vec<String> {
    let right = right.iter().map(|(_, value)| value.as_str()).chain(std::iter::repeat(""));
    right.zip(values).map(|(right, value)| value.replace(SIGNED, right)).collect()
}

fn with_values(headers: &Headers, values: &[impl AsRef<str>]) -> Headers {
    let sent = headers.iter().zip(values).filter(|(_, value)| !value.as_ref().is_empty());
    sent.map(|((name, _), value)| (*name, value.as_ref().to_owned())).collect()
}

fn assert_refused(profile: &Profile, endpoint: &dyn Endpoint, body: &[u8], headers: &Headers) {
    let error = endpoint.verify(&delivery(body, headers), at(NOW)).expect_err("nobody has signed it");
    assert!(!matches!(error, SignatureError::Payload(_)), "{}: a forger learns of the body", profile.name);
    assert_says_only_where(&error);
}

fn check_event(profile: &Profile, endpoint: &dyn Endpoint, body: &[u8], headers: &Headers, event: &Event) {
    assert_eq!(event.payload, body);
    assert!(!event.id.is_empty());
    let stored = endpoint.decode(&delivery(body, headers)).expect("it was verified");
    assert_eq!(stored.id, event.id, "the stored delivery is the same event");
    let again = endpoint.verify(&delivery(body, headers), at(NOW)).expect("it was verified");
    assert_eq!(again, *event, "the same bytes, the same event");
    match profile.id {
        IdPlace::Header(name) => {
            assert!(headers.iter().any(|(given, value)| *given == name && *value == event.id));
        }
        // Some JSON that the envelope passes over is no `Value`: deeper nesting, or 1e999.
        IdPlace::Member(member) => {
            if let Ok(value) = serde_json::from_slice::<Value>(body) {
                assert_eq!(value[member].as_str(), Some(event.id.as_str()));
            }
        }
    }
    let mut other = body.to_owned();
    if let Some(byte) = other.first_mut() {
        *byte ^= 1;
        let refused = endpoint.verify(&delivery(&other, headers), at(NOW));
        assert_eq!(refused.map(|event| event.id), Err(SignatureError::Mismatch));
    }
}

/// Another reader sees an object with one id. (An id that is there twice, `Value` does not tell.)
fn is_certainly_an_event(profile: &Profile, body: &[u8]) -> bool {
    let Ok(Value::Object(object)) = serde_json::from_slice(body) else { return false };
    let count = |member: &str| body.windows(member.len()).filter(|bytes| *bytes == member.as_bytes()).count();
    let has = |member: &str| {
        object.get(member).and_then(Value::as_str).is_some_and(|text| !text.is_empty()) && count(member) == 1
    };
    let has_escape = body.contains(&b'\\');
    match profile.id {
        IdPlace::Header(_) => true,
        // `id` is a part of many words.
        IdPlace::Member("id") => false,
        IdPlace::Member(member) => has(member) && !has_escape,
    }
}

/// By their types, errors hold names and reasons of this library, and numbers. An input can still be one of these texts.
fn assert_says_only_where(error: &SignatureError) {
    let told = format!("{error} {error:?}");
    assert!(told.len() < 600 && told.is_ascii(), "{told}");
}
