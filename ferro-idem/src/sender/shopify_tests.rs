use super::*;

const SECRET: &str = "hush";
const BODY: &[u8] = br#"{"id":820982911946154500}"#;

fn delivery<'a>(family: &Headers, signature: &'a str) -> Delivery<'a> {
    Delivery::new(BODY).with_headers([
        (family.signature, signature),
        (family.id, "w-1"),
        (family.event_id, "e-1"),
        (family.topic, "orders/create"),
        (family.shop, "example.myshopify.com"),
    ])
}

/// Made by another implementation: `printf '{"id":820982911946154500}' | openssl dgst -sha256 -hmac hush -binary | base64`
const BY_OPENSSL: &str = "jTGzr08AJvcgtbIkUddSD0iSWB5b7q7u865iNwjRcKI=";

#[test]
fn a_signature_of_openssl_verifies_under_both_header_families() {
    let shopify = ShopifyWebhook::new(SECRET);
    assert_eq!(shopify.sign(BODY).as_deref(), Ok(BY_OPENSSL));
    for family in [&WITH_X, &WITHOUT_X] {
        let event = shopify.verify(&delivery(family, BY_OPENSSL)).unwrap();
        assert_eq!((event.id(), event.event_type()), ("w-1", "orders/create"));
        assert_eq!((event.merchant_event_id(), event.shop()), (Some("e-1"), Some("example.myshopify.com")));
        assert_eq!(event.payload(), BODY);
        assert_eq!(event.signed_key().len(), 64);
    }
}

#[test]
fn a_forgery_is_refused() {
    let shopify = ShopifyWebhook::new(SECRET);
    for forged in
        ["", "AAAA", BY_OPENSSL.trim_end_matches('='), &format!("{BY_OPENSSL} "), &BY_OPENSSL.to_lowercase()]
    {
        let refused = shopify.verify(&delivery(&WITH_X, forged)).unwrap_err();
        assert_eq!(refused, SignatureError::Mismatch, "{forged}");
    }
    let other = Delivery::new(b"{}").with_header(WITH_X.signature, BY_OPENSSL);
    assert_eq!(shopify.verify(&other).unwrap_err(), SignatureError::Mismatch);
}

#[test]
fn the_families_of_headers_are_not_mixed() {
    let shopify = ShopifyWebhook::new(SECRET);
    let both = delivery(&WITH_X, BY_OPENSSL).with_header(WITHOUT_X.signature, BY_OPENSSL);
    let refused = shopify.verify(&both).unwrap_err();
    assert_eq!(refused, SignatureError::MissingHeader { header: WITHOUT_X.id });
    let forged = delivery(&WITH_X, BY_OPENSSL).with_header(WITHOUT_X.signature, "AAAA");
    assert_eq!(shopify.verify(&forged).unwrap_err(), SignatureError::Mismatch);
}

#[test]
fn the_id_and_the_topic_have_to_be_there() {
    let shopify = ShopifyWebhook::new(SECRET);
    let without_topic =
        Delivery::new(BODY).with_headers([(WITH_X.signature, BY_OPENSSL), (WITH_X.id, "w-1")]);
    let refused = shopify.verify(&without_topic).unwrap_err();
    assert_eq!(refused, SignatureError::MissingHeader { header: WITH_X.topic });
    let empty_id = Delivery::new(BODY).with_headers([(WITH_X.signature, BY_OPENSSL), (WITH_X.id, "")]);
    let refused = shopify.verify(&empty_id).unwrap_err();
    assert_eq!(refused, SignatureError::malformed(WITH_X.id, "it is empty"));
}

#[test]
fn an_access_token_is_no_secret() {
    assert_eq!(ShopifyWebhook::try_new("shpat_1").unwrap_err(), InvalidSecret::ApiKey);
    assert!(ShopifyWebhook::try_new("shpss_1").is_ok());
    let both = ShopifyWebhook::new("old").with_secret(SECRET);
    assert!(both.verify(&delivery(&WITH_X, BY_OPENSSL)).is_ok());
}
