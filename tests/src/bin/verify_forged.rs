//! Verifies deliveries whose signature is right but for one character, for `tests/constant_time.rs` to count what that
//! takes: `verify_forged SENDER CHARACTER CALLS`. The characters of a signature are counted from its end.

use ferro_idem::sender::SignatureError;
use ferro_idem_tests::senders::{NOW, PROFILES, at, body, delivery};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [sender, character, calls] = &arguments[..] else { panic!("verify_forged SENDER CHARACTER CALLS") };
    let (character, calls): (usize, usize) = (character.parse().unwrap(), calls.parse().unwrap());
    let profile = PROFILES.iter().find(|profile| profile.name == *sender).unwrap();
    let endpoint = profile.first();
    let body = body("e-1", "");
    let mut headers = endpoint.sign("e-1", body.as_bytes(), at(NOW)).unwrap();
    let signature = headers.iter_mut().find(|(name, _)| *name == profile.signature).unwrap();
    let mut forged = signature.1.clone().into_bytes();
    let place = forged.len() - 1 - character;
    forged[place] = if forged[place] == b'0' { b'1' } else { b'0' };
    signature.1 = String::from_utf8(forged).unwrap();
    let delivery = delivery(body.as_bytes(), &headers);
    for _ in 0..calls {
        let refused = endpoint.verify(&delivery, at(NOW)).map(drop);
        assert_eq!(refused, Err(SignatureError::Mismatch));
    }
}
