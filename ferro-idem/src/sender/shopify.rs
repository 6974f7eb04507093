//! Shopify's deliveries.
//!
//! **The id is not under the signature.** Shopify signs the body only
//! (<https://shopify.dev/docs/apps/build/webhooks/verify-deliveries>): somebody who holds one delivery with its signature
//! can send it again under another `X-Shopify-Webhook-Id`, and it runs again. If that matters, use
//! [`ShopifyEvent::signed_key`] as the `event_id`. Shopify waits 5 seconds, tries 8 times over 4 hours, and may then
//! delete the subscription (<https://shopify.dev/docs/apps/build/webhooks/troubleshooting-webhooks>).
//!
//! A delivery with the newer header `Shopify-Hmac-Sha256` is read by the names without `X-`; the two families are never
//! mixed.
//!
//! ```
//! use ferro_idem::sender::shopify::ShopifyWebhook;
//! use ferro_idem::sender::{Delivery, Sender};
//!
//! let shopify = ShopifyWebhook::new("hush");
//! let body = br#"{"id": 820982911946154500}"#;
//!
//! // In production the headers come from Shopify.
//! let signature = shopify.sign(body)?;
//! let delivery = Delivery::new(body)
//!     .with_header("X-Shopify-Hmac-Sha256", &signature)
//!     .with_header("X-Shopify-Webhook-Id", "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043")
//!     .with_header("X-Shopify-Topic", "orders/create");
//!
//! let event = shopify.verify(&delivery)?;
//! assert_eq!(event.event_type(), "orders/create");
//! # Ok::<(), ferro_idem::sender::SignatureError>(())
//! ```

use std::iter;

use super::body::Body;
use super::endpoint::endpoint_secrets;
use super::event::event_body;
use super::json::members;
use super::keys::{Encoding, Keys};
use super::payload::Flaw;
use super::refusal::refused;
use super::secret::Rules;
use super::{Delivery, IdCoverage, InvalidSecret, PayloadError, Sender, SignatureError};

struct Headers {
    signature: &'static str,
    id: &'static str,
    event_id: &'static str,
    topic: &'static str,
    shop: &'static str,
}

const WITH_X: Headers = Headers {
    signature: "X-Shopify-Hmac-Sha256",
    id: "X-Shopify-Webhook-Id",
    event_id: "X-Shopify-Event-Id",
    topic: "X-Shopify-Topic",
    shop: "X-Shopify-Shop-Domain",
};

const WITHOUT_X: Headers = Headers {
    signature: "Shopify-Hmac-Sha256",
    id: "Shopify-Webhook-Id",
    event_id: "Shopify-Event-Id",
    topic: "Shopify-Topic",
    shop: "Shopify-Shop-Domain",
};

const RULES: Rules = Rules {
    prefix: None,
    api_keys: &["shpat_", "shpca_", "shppa_", "shpua_"],
    ids: &[],
    own: &["shpss_"],
    is_free_text: false,
    without: &['\\', ','],
};

/// Verifies that deliveries come from Shopify: HMAC-SHA256 over the raw body in base64, compared in constant time.
///
/// The [module](self) has an example. Cloning is cheap; `Debug` shows no secret.
#[derive(Clone)]
pub struct ShopifyWebhook {
    keys: Keys,
}

impl ShopifyWebhook {
    /// An app with this client secret, as text. A rotation of it lasts up to an hour: hold both meanwhile.
    ///
    /// White space around it is ignored. A text that cannot be the secret (see [`InvalidSecret`]) is not used, and
    /// deliveries are refused with the reason.
    pub fn new(secret: impl AsRef<str>) -> Self {
        Self { keys: Keys::default() }.with_secret(secret)
    }

    /// [`new`](Self::new), for a server that does not start with a wrong secret.
    ///
    /// ```
    /// use ferro_idem::sender::InvalidSecret;
    /// use ferro_idem::sender::shopify::ShopifyWebhook;
    ///
    /// assert_eq!(ShopifyWebhook::try_new("shpat_1").unwrap_err(), InvalidSecret::ApiKey);
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidSecret`] if the text cannot be the secret.
    pub fn try_new(secret: impl AsRef<str>) -> Result<Self, InvalidSecret> {
        Self { keys: Keys::default() }.try_with_secret(secret)
    }

    /// The value of `X-Shopify-Hmac-Sha256` that Shopify would send with `body`, for tests. It is signed with the newest
    /// secret.
    ///
    /// # Errors
    ///
    /// [`SignatureError::NoSecret`] or [`SignatureError::InvalidSecret`].
    pub fn sign(&self, body: &[u8]) -> Result<String, SignatureError> {
        self.keys.sign(&[body], Encoding::Base64)
    }

    fn verified(&self, delivery: &Delivery<'_>) -> Result<ShopifyEvent, SignatureError> {
        self.keys.check()?;
        let headers = headers(delivery)?;
        let signature = delivery.header(headers.signature)?;
        self.keys.verify(&[delivery.body()], Encoding::Base64, &iter::once(signature))?;
        // Checked here for the errors that name the headers, because a proxy may have dropped them.
        for header in [headers.id, headers.topic] {
            if delivery.header(header)?.is_empty() {
                return Err(SignatureError::malformed(header, "it is empty"));
            }
        }
        Ok(self.decode(delivery)?)
    }
}

endpoint_secrets!(ShopifyWebhook, RULES);

/// The family that the delivery's signature belongs to.
fn headers(delivery: &Delivery<'_>) -> Result<&'static Headers, SignatureError> {
    let has_newer = delivery.optional_header(WITHOUT_X.signature)?.is_some();
    Ok(if has_newer { &WITHOUT_X } else { &WITH_X })
}

impl Sender for ShopifyWebhook {
    type Event = ShopifyEvent;
    const NAME: &'static str = "shopify";
    const ID: IdCoverage = IdCoverage::Unsigned;
    const HEADERS: &'static [&'static str] = &[
        WITH_X.id,
        WITH_X.event_id,
        WITH_X.topic,
        WITH_X.shop,
        WITHOUT_X.signature,
        WITHOUT_X.id,
        WITHOUT_X.event_id,
        WITHOUT_X.topic,
        WITHOUT_X.shop,
    ];

    fn verify(&self, delivery: &Delivery<'_>) -> Result<ShopifyEvent, SignatureError> {
        self.verified(delivery).map_err(|error| refused(Self::NAME, error))
    }

    fn decode(&self, delivery: &Delivery<'_>) -> Result<ShopifyEvent, PayloadError> {
        let lacks = |header| PayloadError::no_event(Flaw::Lacks(header));
        let headers = headers(delivery).unwrap_or(&WITH_X);
        let header = |name| delivery.header(name).ok().filter(|value| !value.is_empty()).map(str::to_owned);
        let body = Body::json_body(delivery.body())?;
        let [] = members(body.json(), [])?;
        Ok(ShopifyEvent {
            id: header(headers.id).ok_or(lacks("the header of its id"))?,
            topic: header(headers.topic).ok_or(lacks("the header of its topic"))?,
            merchant_event_id: header(headers.event_id),
            shop: header(headers.shop),
            body,
        })
    }
}

/// An event of Shopify. **Its id is not under the signature**: see the [module](self).
#[derive(Clone)]
pub struct ShopifyEvent {
    id: String,
    topic: String,
    merchant_event_id: Option<String>,
    shop: Option<String>,
    body: Body,
}

impl ShopifyEvent {
    /// `X-Shopify-Webhook-Id`, the same in every redelivery.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The topic: `orders/create`.
    pub fn event_type(&self) -> &str {
        &self.topic
    }

    /// `X-Shopify-Event-Id`: one id for what happened, over all subscriptions that deliver it. Use it as the `event_id`
    /// if several subscriptions reach one handler.
    pub fn merchant_event_id(&self) -> Option<&str> {
        self.merchant_event_id.as_deref()
    }

    /// The shop: `example.myshopify.com`.
    pub fn shop(&self) -> Option<&str> {
        self.shop.as_deref()
    }

    /// A key made from the signed bytes, 64 hex digits: a delivery that is replayed under another id has the same.
    ///
    /// It is not the default, because two honest events can have equal bytes.
    pub fn signed_key(&self) -> String {
        self.body.digest()
    }
}

event_body!(ShopifyEvent);

#[cfg(test)]
#[path = "shopify_tests.rs"]
mod tests;
