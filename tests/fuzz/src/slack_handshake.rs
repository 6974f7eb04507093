//! Slack's handshake repeats a challenge only if Slack has signed it.

use std::time::SystemTime;

use ferro_idem::sender::slack::SlackWebhook;
use ferro_idem::sender::{Delivery, Sender, SignatureError};
use serde_json::Value;

/// The body is what follows the first line, as in the deliveries of all senders.
///
/// # Panics
///
/// If an unsigned challenge is answered, or a signed one is answered with another text.
pub fn check(input: &[u8]) {
    let body = input.iter().position(|byte| *byte == b'\n').map_or(&[][..], |end| &input[end + 1..]);
    let slack = SlackWebhook::new("c4n4ry");
    let stranger = SlackWebhook::new("other");
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    let challenge = value["challenge"].as_str().filter(|_| value["type"] == "url_verification");

    for answer in [slack.handshake(&Delivery::new(body)), signed_by(&stranger, &slack, body)] {
        match answer {
            // The form `ssl_check=1` is not signed, and is answered with an empty 200. An object is no form.
            Ok(Some(text)) => {
                assert!(text.is_empty() && !value.is_object(), "an unsigned challenge is repeated");
            }
            Ok(None) => assert!(challenge.is_none(), "an unsigned challenge is no handshake"),
            Err(error) => assert!(!matches!(error, SignatureError::Payload(_)), "{error}"),
        }
    }
    match signed_by(&slack, &slack, body) {
        Ok(Some(text)) if text.is_empty() => {}
        // Some JSON that the handshake skips is no `Value`: deeper nesting, or 1e999.
        Ok(_) if value.is_null() => {}
        Ok(answer) => assert_eq!(answer.as_deref(), challenge, "the challenge is answered as it is"),
        Err(error) => panic!("it is signed: {error}"),
    }
}

fn signed_by(
    signer: &SlackWebhook,
    slack: &SlackWebhook,
    body: &[u8],
) -> Result<Option<String>, SignatureError> {
    let [timestamp, signature] = signer.sign(body, SystemTime::now()).expect("there is a secret");
    let delivery = Delivery::new(body)
        .with_header("X-Slack-Request-Timestamp", &timestamp)
        .with_header("X-Slack-Signature", &signature);
    slack.handshake(&delivery)
}
