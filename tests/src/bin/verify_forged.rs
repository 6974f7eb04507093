//! Verifies deliveries whose signature is right but for one digit, for `tests/constant_time.rs` to count what
//! that takes: `verify_forged DIGIT CALLS`.

use std::time::SystemTime;

use ferro_idem::stripe::{SignatureError, StripeWebhook};

const PAYLOAD: &[u8] = br#"{"id":"evt_1","object":"event","type":"invoice.paid"}"#;

fn main() {
    let arguments: Vec<usize> = std::env::args().skip(1).map(|number| number.parse().unwrap()).collect();
    let [digit, calls] = arguments[..] else { panic!("verify_forged DIGIT CALLS") };
    let (webhook, now) = (StripeWebhook::new("whsec_test"), SystemTime::UNIX_EPOCH);
    let header = webhook.sign(PAYLOAD, now).unwrap();
    let (signed, signature) = header.split_at(header.len() - 64);
    let mut forged = signature.as_bytes().to_vec();
    forged[digit] = if forged[digit] == b'0' { b'1' } else { b'0' };
    let header = format!("{signed}{}", String::from_utf8(forged).unwrap());
    for _ in 0..calls {
        let refused = webhook.verify_at(PAYLOAD, &header, now).map(drop);
        assert_eq!(refused, Err(SignatureError::Mismatch));
    }
}
