use std::time::{Duration, UNIX_EPOCH};

use super::super::*;

/// The vector of Svix's server, which openssl makes too:
/// `openssl pkeyutl -sign -rawin -inkey key.pem -in signed | base64`.
const SEED: &str = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbc=";
const PAIR: &str =
    "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
const PUBLIC_KEY: &str = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=";
const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const BODY: &[u8] = br#"{"test": 2432232314}"#;
const SIGNATURE: &str =
    "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==";
const SYMMETRIC: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const SYMMETRIC_SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_614_265_330)
}

fn verify(webhook: &StandardWebhook, signature: &str) -> Result<(), SignatureError> {
    let delivery = Delivery::new(BODY).with_headers([
        (STANDARD.id, ID),
        (STANDARD.timestamp, "1614265330"),
        (STANDARD.signature, signature),
    ]);
    webhook.verify_at(&delivery, now()).map(drop)
}

#[test]
fn svixs_own_vector_is_signed_and_verified() {
    for secret in [SEED, PAIR] {
        let webhook = StandardWebhook::try_new(secret).unwrap();
        assert_eq!(webhook.sign(ID, BODY, now()).unwrap(), [ID, "1614265330", SIGNATURE]);
        assert_eq!(verify(&webhook, SIGNATURE), Ok(()));
    }
    let receiver = StandardWebhook::try_new(format!(" {PUBLIC_KEY}\n")).unwrap();
    assert_eq!(verify(&receiver, SIGNATURE), Ok(()));
    assert_eq!(receiver.sign(ID, BODY, now()), Err(InvalidSecret::PublicKey.into()));
    assert!(!format!("{:?}", StandardWebhook::new(SEED)).contains("6Xb"));
}

#[test]
fn each_bit_of_a_signature_and_of_the_body_counts() {
    let webhook = StandardWebhook::new(PUBLIC_KEY);
    let signature = base64::engine::general_purpose::STANDARD.decode(&SIGNATURE[4..]).unwrap();
    for bit in 0..512 {
        let mut forged = signature.clone();
        forged[bit / 8] ^= 1 << (bit % 8);
        let forged = format!("v1a,{}", base64::engine::general_purpose::STANDARD.encode(forged));
        assert_eq!(verify(&webhook, &forged), Err(SignatureError::Mismatch), "bit {bit}");
    }
    for forged in [
        SIGNATURE.trim_end_matches('=').to_owned(),
        format!("{SIGNATURE}="),
        // The last character stands for bits that are not part of the signature.
        SIGNATURE.replace("Ag==", "Ah=="),
        SIGNATURE.replace('/', "_"),
        "v1a,".to_owned(),
    ] {
        assert_eq!(verify(&webhook, &forged), Err(SignatureError::Mismatch), "{forged}");
    }
    let headers = [(STANDARD.id, ID), (STANDARD.timestamp, "1614265330"), (STANDARD.signature, SIGNATURE)];
    let other = Delivery::new(br#"{"test": 2432232315}"#).with_headers(headers);
    assert_eq!(webhook.verify_at(&other, now()).unwrap_err(), SignatureError::Mismatch);
}

#[test]
fn the_secret_says_which_scheme_counts() {
    let public = StandardWebhook::new(PUBLIC_KEY);
    let symmetric = StandardWebhook::new(SYMMETRIC);
    let both = StandardWebhook::new(SYMMETRIC).with_secret(SEED);
    let malformed = |reason| Err(SignatureError::malformed("webhook-signature", reason));
    assert_eq!(verify(&public, SYMMETRIC_SIGNATURE), malformed("it has no `v1a,`"));
    assert_eq!(verify(&symmetric, SIGNATURE), malformed("it has no `v1,`"));
    assert_eq!(verify(&both, "v2,AAAA"), malformed("it has no `v1,` or `v1a,`"));
    for signature in [
        SIGNATURE.to_owned(),
        SYMMETRIC_SIGNATURE.to_owned(),
        format!("{SYMMETRIC_SIGNATURE} {SIGNATURE}"),
        format!("v1a,junk v1,junk {SIGNATURE}"),
    ] {
        assert_eq!(verify(&both, &signature), Ok(()), "{signature}");
    }
    let [_, _, signed] = both.sign(ID, BODY, now()).unwrap();
    assert_eq!(signed, format!("{SYMMETRIC_SIGNATURE} {SIGNATURE}"));
    let many = [SIGNATURE; 17].join(" ");
    assert_eq!(verify(&public, &many), malformed("it has more than 16 `v1a,`"));
}

/// The attack on libraries that take the public key as the key of an HMAC.
#[test]
fn an_hmac_with_the_public_key_is_no_signature() {
    let attacker = StandardWebhook::new(PUBLIC_KEY.replace("whpk_", "whsec_"));
    let [_, _, forged] = attacker.sign(ID, BODY, now()).unwrap();
    for webhook in [StandardWebhook::new(PUBLIC_KEY), StandardWebhook::new(SYMMETRIC).with_secret(PUBLIC_KEY)]
    {
        assert!(verify(&webhook, &forged).is_err());
        assert!(verify(&webhook, &forged.replace("v1,", "v1a,")).is_err());
    }
}

#[test]
fn a_rotation_holds_several_public_keys() {
    let other = "whpk_A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=";
    for secrets in [[other, PUBLIC_KEY], [PUBLIC_KEY, other]] {
        let webhook =
            secrets.iter().skip(1).fold(StandardWebhook::new(secrets[0]), StandardWebhook::with_secret);
        assert_eq!(verify(&webhook, SIGNATURE), Ok(()));
    }
    assert_eq!(verify(&StandardWebhook::new(other), SIGNATURE), Err(SignatureError::Mismatch));
}

#[test]
fn a_key_that_anybody_can_sign_for_is_refused() {
    let key = |bytes: [u8; 32]| format!("whpk_{}", base64::engine::general_purpose::STANDARD.encode(bytes));
    let with_first = |first: u8, rest: u8, last: u8| {
        let mut bytes = [rest; 32];
        (bytes[0], bytes[31]) = (first, last);
        key(bytes)
    };
    for (case, secret) in [
        ("the neutral element", with_first(1, 0, 0)),
        ("a point of order 4", with_first(0, 0, 0)),
        ("a point of order 2", with_first(0xec, 0xff, 0x7f)),
        ("the neutral element, written as p + 1", with_first(0xee, 0xff, 0x7f)),
        ("no point of the curve", with_first(2, 0, 0)),
        ("31 bytes", "whpk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==".to_owned()),
        ("33 bytes", "whpk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g".to_owned()),
        ("a private key of 33 bytes", "whsk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g".to_owned()),
        ("a pair of two keys", PAIR.replace("KIDij2HKpMKkioLl", "KYDij2HKpMKkioLl")),
    ] {
        let refused = StandardWebhook::try_new(&secret).unwrap_err();
        assert_eq!(refused, InvalidSecret::NotEd25519, "{case}");
        assert_eq!(verify(&StandardWebhook::new(&secret), SIGNATURE), Err(refused.into()), "{case}");
    }
    for prefix in [PUBLIC, PRIVATE] {
        assert_eq!(StandardWebhook::try_new(prefix).unwrap_err(), InvalidSecret::PrefixOnly { prefix });
        let refused = StandardWebhook::try_new(format!("{prefix}no*base64")).unwrap_err();
        assert_eq!(refused, InvalidSecret::NotBase64);
    }
}
