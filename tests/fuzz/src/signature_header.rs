//! A header without a right signature is never accepted. A header with one is accepted, whatever else it
//! holds.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ferro_idem::stripe::{SignatureError, StripeEvent, StripeWebhook};

const PAYLOAD: &[u8] = br#"{"id":"evt_1","object":"event","type":"invoice.paid"}"#;
const NOW: u64 = 1_492_774_577;
const TOLERANCE: u64 = 300;

static WEBHOOK: LazyLock<StripeWebhook> = LazyLock::new(|| StripeWebhook::new("whsec_test"));
static FORGER: LazyLock<StripeWebhook> = LazyLock::new(|| StripeWebhook::new("whsec_another"));

/// The only messages that a sender without the secret can get. They show neither the header nor this
/// machine's clock.
const TOLD: &[&str] = &[
    "the Stripe-Signature header is malformed: it is over 4096 bytes long",
    "the Stripe-Signature header is malformed: an element has no `=`",
    "the Stripe-Signature header is malformed: it has no `t=`",
    "the Stripe-Signature header is malformed: it has more than one `t=`",
    "the Stripe-Signature header is malformed: its `t=` is not a Unix time in seconds",
    "the Stripe-Signature header is malformed: it has no `v1=`",
    "the Stripe-Signature header is malformed: it has more than 16 `v1=`",
    "no signature matches: the endpoint's signing secret differs, or the body was changed on the way \
     (verify the raw bytes, not re-encoded JSON)",
];

/// The element that stands for the right signature, which a fuzzer cannot guess.
const SIGNED: (&str, &str) = ("v1", "signed");

/// The input is a header, in which `v1=signed` stands for the right signature.
///
/// # Panics
///
/// If the verdict differs from the documentation.
pub fn check(input: &[u8]) {
    let header = String::from_utf8_lossy(input);
    assert_refused(&header);
    let Some(time) = first_time(&header) else { return };
    assert_refused(&signed_by(&FORGER, time, &header));

    let signed = signed_by(&WEBHOOK, time, &header);
    let verdict = verify(&signed);
    let is_as_expected = match expected(&header, signed.len()) {
        Expected::Malformed => matches!(verdict, Err(SignatureError::MalformedHeader { .. })),
        Expected::Mismatch => matches!(verdict, Err(SignatureError::Mismatch)),
        Expected::Stale => matches!(verdict, Err(SignatureError::Stale { .. })),
        Expected::InFuture => matches!(verdict, Err(SignatureError::InFuture { .. })),
        Expected::Taken => verdict.as_ref().is_ok_and(|event| event.id() == "evt_1"),
    };
    assert!(is_as_expected, "{signed:?}: {verdict:?}");
}

fn verify(header: &str) -> Result<StripeEvent, SignatureError> {
    WEBHOOK.verify_at(PAYLOAD, header, UNIX_EPOCH + Duration::from_secs(NOW))
}

fn assert_refused(header: &str) {
    let error = verify(header).expect_err("this header is signed by nobody who has the secret");
    assert!(TOLD.contains(&error.to_string().as_str()), "{header:?}: {error}");
    let shown = format!("{error:?}");
    let is_known = shown == "Mismatch" || TOLD.iter().any(|told| told.ends_with(reason_in(&shown)));
    assert!(is_known, "{header:?}: {shown}");
}

/// `MalformedHeader { header: "Stripe-Signature", reason: "..." }`.
fn reason_in(shown: &str) -> &str {
    shown
        .strip_prefix("MalformedHeader { header: \"Stripe-Signature\", reason: \"")
        .and_then(|rest| rest.strip_suffix("\" }"))
        .unwrap_or(shown)
}

fn elements(header: &str) -> impl Iterator<Item = Option<(&str, &str)>> {
    header.split(',').map(|element| element.trim().split_once('='))
}

/// The first time that can be signed for: `sign` takes a `SystemTime`.
fn first_time(header: &str) -> Option<SystemTime> {
    let (_, time) = elements(header).flatten().find(|(key, _)| *key == "t")?;
    UNIX_EPOCH.checked_add(Duration::from_secs(time.parse().ok()?))
}

fn signed_by(webhook: &StripeWebhook, time: SystemTime, header: &str) -> String {
    let signature = webhook.sign(PAYLOAD, time).expect("there is a secret");
    let (_, signature) = signature.split_once(',').expect("t=...,v1=...");
    let elements = header.split(',').map(|element| match element.trim().split_once('=') {
        Some(SIGNED) => signature,
        _ => element,
    });
    elements.collect::<Vec<_>>().join(",")
}

#[derive(Debug)]
enum Expected {
    Malformed,
    Mismatch,
    Stale,
    InFuture,
    Taken,
}

/// The verdict by the documentation, after `v1=signed` was replaced by the right signature.
fn expected(header: &str, signed_bytes: usize) -> Expected {
    let count = |wanted| elements(header).flatten().filter(|(key, _)| *key == wanted).count();
    let mut times = elements(header).flatten().filter(|(key, _)| *key == "t").map(|(_, time)| time);
    let (Some(time), None) = (times.next(), times.next()) else {
        return Expected::Malformed;
    };
    let seconds = match time.parse::<u64>() {
        Ok(seconds) if !time.starts_with('+') => seconds,
        _ => return Expected::Malformed,
    };
    let has_form = elements(header).all(|element| element.is_some());
    if signed_bytes > 4096 || !has_form || !(1..=16).contains(&count("v1")) {
        return Expected::Malformed;
    }
    // The signature covers the time as it is written, and `sign` writes no leading zero.
    if time != seconds.to_string() || !elements(header).any(|element| element == Some(SIGNED)) {
        Expected::Mismatch
    } else if seconds + TOLERANCE < NOW {
        Expected::Stale
    } else if seconds > NOW + TOLERANCE {
        Expected::InFuture
    } else {
        Expected::Taken
    }
}
