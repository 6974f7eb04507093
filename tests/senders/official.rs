//! Deliveries that the senders' own libraries have signed are verified. Deliveries that differ by a byte are
//! refused.
//!
//! `tests/senders/run` signs anew; `signed.json` is what it made last, with the library and its version.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use ferro_idem::sender::github::GithubWebhook;
use ferro_idem::sender::hmac::{Encoding, HmacScheme, HmacWebhook, Id, Part, TimeFormat};
use ferro_idem::sender::shopify::ShopifyWebhook;
use ferro_idem::sender::slack::SlackWebhook;
use ferro_idem::sender::{Delivery, Sender, SignatureError};
use ferro_idem_tests::senders::{IdPlace, PROFILES, Profile, at};

#[derive(serde::Deserialize)]
struct Signed {
    sender: String,
    library: String,
    secret: String,
    body: String,
    headers: BTreeMap<String, String>,
    /// When it was signed, in Unix seconds, if the scheme has a time.
    at: u64,
}

impl Signed {
    fn all() -> Vec<Self> {
        serde_json::from_str(include_str!("signed.json")).unwrap()
    }

    fn profile(&self) -> &'static Profile {
        PROFILES.iter().find(|profile| profile.name == self.sender).unwrap()
    }

    fn delivery(&self) -> Delivery<'_> {
        delivery(self.body.as_bytes(), &self.headers)
    }

    /// The id, if an endpoint with these secrets verifies the delivery.
    fn verify_with(&self, secrets: &[&str], delivery: &Delivery<'_>) -> Result<String, SignatureError> {
        (self.profile().endpoint)(secrets).verify(delivery, at(self.at)).map(|event| event.id)
    }

    fn verify(&self, delivery: &Delivery<'_>) -> Result<String, SignatureError> {
        self.verify_with(&[&self.secret], delivery)
    }
}

fn delivery<'a>(body: &'a [u8], headers: &'a BTreeMap<String, String>) -> Delivery<'a> {
    Delivery::new(body).with_headers(headers.iter().map(|(name, value)| (name.as_str(), value.as_str())))
}

#[test]
fn what_a_senders_own_library_signs_is_verified() {
    let mut verified = BTreeSet::new();
    for signed in Signed::all() {
        let id =
            signed.verify(&signed.delivery()).unwrap_or_else(|error| panic!("{}: {error}", signed.library));
        assert!(
            ["e-1", "é", "e-2", "msg_1", "d-1", "w-1"].contains(&id.as_str()),
            "{}: {id}",
            signed.library
        );
        verified.insert((signed.sender, signed.library));
    }
    assert_eq!(verified.len(), 9, "{verified:?}");
}

/// One byte of the body, one character of a signed header, or the secret is another.
fn forgeries_refused(signed: &Signed) -> usize {
    let mut refused = 0;
    let mut assert_refused = |case: &str, verdict: Result<String, SignatureError>| {
        assert!(verdict.is_err(), "{}, {case}: {verdict:?}", signed.library);
        refused += 1;
    };
    for index in 0..signed.body.len() {
        let mut body = signed.body.clone().into_bytes();
        body[index] ^= 1;
        assert_refused("body", signed.verify(&delivery(&body, &signed.headers)));
    }
    for (name, value) in signed.headers.iter().filter(|(name, _)| is_signed(name)) {
        for index in 0..value.len() {
            let mut forged = value.clone().into_bytes();
            forged[index] = if forged[index] == b'A' { b'B' } else { b'A' };
            let mut headers = signed.headers.clone();
            headers.insert(name.clone(), String::from_utf8(forged).unwrap());
            assert_refused(name, signed.verify(&delivery(signed.body.as_bytes(), &headers)));
        }
    }
    // No `A`: zero bytes at the end of a key change no HMAC.
    let other = format!("{}BBBB", signed.secret);
    assert_refused("secret", signed.verify_with(&[&other], &signed.delivery()));
    refused
}

/// The other headers are not covered by the signature: an id that is not signed can be replaced.
fn is_signed(header: &str) -> bool {
    let header = header.to_ascii_lowercase();
    let is_named = |word: &str| header.contains(word);
    ["signature", "hmac", "timestamp", "svix", "webhook-id"].into_iter().any(is_named)
        && header != "x-shopify-webhook-id"
}

/// A secret of this sender that nobody has signed with.
fn another_secret(signed: &Signed) -> &'static str {
    signed.profile().secrets[1]
}

/// What becomes of the delivery under another id, with nothing else changed.
fn replay_under_another_id(signed: &Signed) -> &'static str {
    let IdPlace::Header(_) = signed.profile().id else {
        return "refused (the id is in the body)";
    };
    let mut headers = signed.headers.clone();
    let id = ["webhook-id", "svix-id", "X-GitHub-Delivery", "X-Shopify-Webhook-Id"];
    let name = id.into_iter().find(|name| headers.contains_key(*name)).unwrap();
    headers.insert(name.to_owned(), "another".to_owned());
    let replay = delivery(signed.body.as_bytes(), &headers);
    let keys = match signed.sender.as_str() {
        "github" => [signed.delivery(), replay.clone()]
            .map(|delivery| GithubWebhook::new(&signed.secret).verify(&delivery).unwrap().signed_key()),
        "shopify" => [signed.delivery(), replay.clone()]
            .map(|delivery| ShopifyWebhook::new(&signed.secret).verify(&delivery).unwrap().signed_key()),
        _ => {
            assert_eq!(signed.verify(&replay), Err(SignatureError::Mismatch), "{}", signed.library);
            return "refused";
        }
    };
    assert_eq!(signed.verify(&replay).as_deref(), Ok("another"));
    assert_eq!(keys[0], keys[1]);
    "a new event; a duplicate by `signed_key()`"
}

/// What becomes of a challenge, signed and not.
fn handshake(sender: &str) -> &'static str {
    if sender != "slack" {
        return "none";
    }
    let slack = SlackWebhook::new("secret");
    let challenge = br#"{"type":"url_verification","challenge":"3eZbrw1a"}"#;
    let [timestamp, signature] = slack.sign(challenge, SystemTime::now()).unwrap();
    let headers = [("X-Slack-Request-Timestamp", &timestamp), ("X-Slack-Signature", &signature)];
    let signed = Delivery::new(challenge).with_headers(headers);
    assert_eq!(slack.handshake(&signed), Ok(Some("3eZbrw1a".to_owned())));
    assert!(slack.handshake(&Delivery::new(challenge)).is_err());
    "signed: answered; unsigned: refused"
}

#[test]
fn each_sender_keeps_its_promises_for_what_its_library_signed() {
    let mut rows: BTreeMap<(String, String), (usize, usize, &str)> = BTreeMap::new();
    for signed in Signed::all() {
        let other = another_secret(&signed);
        for secrets in [[other, &signed.secret], [&signed.secret, other]] {
            assert!(signed.verify_with(&secrets, &signed.delivery()).is_ok(), "{}: rotation", signed.library);
        }
        assert!(signed.verify_with(&[other], &signed.delivery()).is_err(), "{}", signed.library);
        let refused = forgeries_refused(&signed);
        let replay = replay_under_another_id(&signed);
        let row = rows.entry((signed.sender.clone(), signed.library.clone())).or_default();
        *row = (row.0 + 1, row.1 + refused, replay);
    }
    println!(
        "| sender | signed by | verified | forgeries refused | rotation | replay under another id | handshake |"
    );
    println!("|---|---|---|---|---|---|---|");
    for ((sender, library), (verified, refused, replay)) in rows {
        assert!(refused > 200, "{sender}: {refused}");
        let handshake = handshake(&sender);
        println!("| {sender} | {library} | {verified} | {refused} | old, new | {replay} | {handshake} |");
    }
}

/// `HmacWebhook` reads the other senders by a description of each.
#[test]
fn a_scheme_describes_each_of_the_other_senders() {
    use Part::{Text, TimestampElement, TimestampHeader, Url};
    const SECONDS: TimeFormat = TimeFormat::UnixSeconds;
    let scheme = |sender: &str| match sender {
        "github" => {
            HmacScheme::new("X-Hub-Signature-256", Id::Header("X-GitHub-Delivery")).with_prefix("sha256=")
        }
        "shopify" => HmacScheme::new("X-Shopify-Hmac-Sha256", Id::Header("X-Shopify-Webhook-Id"))
            .with_encoding(Encoding::Base64),
        "square" => HmacScheme::new("x-square-hmacsha256-signature", Id::Body(&["event_id"]))
            .with_encoding(Encoding::Base64)
            .with_signed_before_body(&[Url]),
        "slack" => HmacScheme::new("X-Slack-Signature", Id::Body(&["event_id"]))
            .with_prefix("v0=")
            .with_signed_before_body(&[
                Text("v0:"),
                TimestampHeader("X-Slack-Request-Timestamp", SECONDS),
                Text(":"),
            ]),
        "stripe" => HmacScheme::new("Stripe-Signature", Id::Body(&["id"]))
            .with_separator(',')
            .with_prefix("v1=")
            .with_signed_before_body(&[TimestampElement("t=", SECONDS), Text(".")]),
        "paddle" => HmacScheme::new("Paddle-Signature", Id::Body(&["event_id"]))
            .with_separator(';')
            .with_prefix("h1=")
            .with_signed_before_body(&[TimestampElement("ts=", SECONDS), Text(":")]),
        other => panic!("{other} is no sender"),
    };
    let mut verified = BTreeSet::new();
    // The key of Standard Webhooks is the base64 of its secret: it has a type of its own.
    for signed in Signed::all().into_iter().filter(|signed| !signed.sender.starts_with("standard")) {
        let webhook =
            HmacWebhook::new(scheme(&signed.sender), &signed.secret).with_url("https://example.com/webhook");
        let event = webhook.verify_at(&signed.delivery(), at(signed.at));
        let id = event.unwrap_or_else(|error| panic!("{}: {error}", signed.library)).id().to_owned();
        assert_eq!(Ok(id), signed.verify(&signed.delivery()), "{}", signed.library);
        verified.insert(signed.sender);
    }
    assert_eq!(verified.len(), 6);
}
