use super::*;

const SECRET: &str = "asdf1234";
const URL: &str = "https://example.com/webhook";
const BODY: &[u8] = br#"{"merchant_id":"M1","type":"payment.created","event_id":"e-1"}"#;
/// Made by another implementation: `printf '%s' "$URL$BODY" | openssl dgst -sha256 -hmac asdf1234 -binary | base64`
const BY_OPENSSL: &str = "vvnd2haMSecbWd+BU4sIE60kJVBMBDltt9dCLNee8JE=";

fn verify(url: &str, body: &[u8], signature: &str) -> Result<String, SignatureError> {
    let delivery = Delivery::new(body).with_header("X-Square-HmacSha256-Signature", signature);
    SquareWebhook::new(SECRET, url).verify(&delivery).map(|event| event.id().to_owned())
}

#[test]
fn a_signature_made_by_openssl_verifies() {
    assert_eq!(SquareWebhook::new(SECRET, URL).sign(BODY).as_deref(), Ok(BY_OPENSSL));
    assert_eq!(verify(URL, BODY, BY_OPENSSL).as_deref(), Ok("e-1"));
    let delivery = Delivery::new(BODY).with_header(SIGNATURE, BY_OPENSSL);
    let event = SquareWebhook::new("old", URL).with_secret(SECRET).verify(&delivery).unwrap();
    assert_eq!((event.event_type(), event.merchant_id()), ("payment.created", Some("M1")));
}

#[test]
fn the_url_counts_byte_for_byte() {
    for url in
        ["https://example.com/webhook/", "http://example.com/webhook", "https://EXAMPLE.com/webhook", ""]
    {
        assert_eq!(verify(url, BODY, BY_OPENSSL), Err(SignatureError::Mismatch), "{url}");
    }
}

#[test]
fn a_forgery_is_refused() {
    for forged in ["", "AAAA", BY_OPENSSL.trim_end_matches('='), &format!("{BY_OPENSSL}=")] {
        assert_eq!(verify(URL, BODY, forged), Err(SignatureError::Mismatch), "{forged}");
    }
    assert_eq!(verify(URL, b"{}", BY_OPENSSL), Err(SignatureError::Mismatch));
    let none = SquareWebhook::new(SECRET, URL).verify(&Delivery::new(BODY)).unwrap_err();
    assert_eq!(none, SignatureError::MissingHeader { header: SIGNATURE });
}

#[test]
fn an_event_without_its_id_is_refused() {
    for body in
        [&b"{}"[..], br#"{"event_id":""}"#, br#"{"event_id":"a","event_id":"a"}"#, b"", b"[]", b"\xff"]
    {
        let signature = SquareWebhook::new(SECRET, URL).sign(body).unwrap();
        let refused = verify(URL, body, &signature);
        assert!(matches!(refused, Err(SignatureError::Payload(_))), "{refused:?}");
    }
}
