//! The senders.

use std::time::SystemTime;

use ferro_idem::WebhookEvent;
use ferro_idem::sender::github::{GithubEvent, GithubWebhook};
use ferro_idem::sender::hmac::{HmacEvent, HmacScheme, HmacWebhook, Id, Part, TimeFormat};
use ferro_idem::sender::paddle::{PaddleEvent, PaddleWebhook};
use ferro_idem::sender::shopify::{ShopifyEvent, ShopifyWebhook};
use ferro_idem::sender::slack::{SlackEvent, SlackWebhook};
use ferro_idem::sender::square::{SquareEvent, SquareWebhook};
use ferro_idem::sender::standard::{StandardEvent, StandardWebhook};
use ferro_idem::sender::{Delivery, InvalidSecret, PayloadError, Sender, SignatureError};
use ferro_idem::stripe::{StripeEvent, StripeWebhook};

use super::{Endpoint, Event, Headers, IdPlace, Profile, TimePlace};

/// The notification URL of Square's endpoint.
const URL: &str = "https://example.com/webhook";

/// A scheme with everything that a scheme can have.
const SCHEME: HmacScheme = HmacScheme::new("X-Signature", Id::Header("X-Event-Id"))
    .with_prefix("v1=")
    .with_separator(';')
    .with_signed_before_body(&[
        Part::Text("v0:"),
        Part::TimestampHeader("X-Timestamp", TimeFormat::UnixSeconds),
        Part::Text(":"),
        Part::Id,
    ])
    .with_signed_after_body(&[Part::Url]);

const PADDLES: Option<(&str, InvalidSecret)> = Some(("pdl_ntfset_1", InvalidSecret::OtherSender));

/// Every sender.
pub const PROFILES: &[Profile] = &[
    Profile {
        name: "stripe",
        secrets: ["whsec_c4n4ry", "whsec_other"],
        foreign: PADDLES,
        id: IdPlace::Member("id"),
        time: Some((TimePlace::Element("t="), 300)),
        signature: "Stripe-Signature",
        is_list: false,
        endpoint: |secrets| Box::new(with(secrets, StripeWebhook::new, StripeWebhook::with_secret)),
        try_new: |secret| StripeWebhook::try_new(secret).map(drop),
    },
    Profile {
        name: "standard-webhooks",
        secrets: ["whsec_YzRuNHJ5", "whsec_b3RoZXI="],
        foreign: PADDLES,
        id: IdPlace::Header("webhook-id"),
        time: Some((TimePlace::Header("webhook-timestamp"), 300)),
        signature: "webhook-signature",
        is_list: true,
        endpoint: |secrets| Box::new(with(secrets, StandardWebhook::new, StandardWebhook::with_secret)),
        try_new: |secret| StandardWebhook::try_new(secret).map(drop),
    },
    Profile {
        name: "standard-webhooks, Ed25519",
        secrets: [
            "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbc=",
            "whsk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        ],
        foreign: PADDLES,
        id: IdPlace::Header("webhook-id"),
        time: Some((TimePlace::Header("webhook-timestamp"), 300)),
        signature: "webhook-signature",
        is_list: true,
        endpoint: |secrets| Box::new(with(secrets, StandardWebhook::new, StandardWebhook::with_secret)),
        try_new: |secret| StandardWebhook::try_new(secret).map(drop),
    },
    Profile {
        name: "github",
        secrets: ["c4n4ry", "other"],
        foreign: PADDLES,
        id: IdPlace::Header("X-GitHub-Delivery"),
        time: None,
        signature: "X-Hub-Signature-256",
        is_list: false,
        endpoint: |secrets| Box::new(with(secrets, GithubWebhook::new, GithubWebhook::with_secret)),
        try_new: |secret| GithubWebhook::try_new(secret).map(drop),
    },
    Profile {
        name: "slack",
        secrets: ["c4n4ry", "other"],
        foreign: PADDLES,
        id: IdPlace::Member("event_id"),
        time: Some((TimePlace::Header("X-Slack-Request-Timestamp"), 300)),
        signature: "X-Slack-Signature",
        is_list: false,
        endpoint: |secrets| Box::new(with(secrets, SlackWebhook::new, SlackWebhook::with_secret)),
        try_new: |secret| SlackWebhook::try_new(secret).map(drop),
    },
    Profile {
        name: "shopify",
        secrets: ["c4n4ry", "other"],
        foreign: PADDLES,
        id: IdPlace::Header("X-Shopify-Webhook-Id"),
        time: None,
        signature: "X-Shopify-Hmac-Sha256",
        is_list: false,
        endpoint: |secrets| Box::new(with(secrets, ShopifyWebhook::new, ShopifyWebhook::with_secret)),
        try_new: |secret| ShopifyWebhook::try_new(secret).map(drop),
    },
    Profile {
        name: "square",
        secrets: ["c4n4ry", "other"],
        foreign: PADDLES,
        id: IdPlace::Member("event_id"),
        time: None,
        signature: "x-square-hmacsha256-signature",
        is_list: false,
        endpoint: |secrets| {
            let new = |secret: &&str| SquareWebhook::new(secret, URL);
            Box::new(with(secrets, new, SquareWebhook::with_secret))
        },
        try_new: |secret| SquareWebhook::try_new(secret, URL).map(drop),
    },
    Profile {
        name: "paddle",
        secrets: ["pdl_ntfset_c4n4ry", "pdl_ntfset_other"],
        foreign: Some(("whsec_1", InvalidSecret::OtherSender)),
        id: IdPlace::Member("event_id"),
        time: Some((TimePlace::Element("ts="), 5)),
        signature: "Paddle-Signature",
        is_list: false,
        endpoint: |secrets| Box::new(with(secrets, PaddleWebhook::new, PaddleWebhook::with_secret)),
        try_new: |secret| PaddleWebhook::try_new(secret).map(drop),
    },
    Profile {
        name: "hmac",
        secrets: ["c4n4ry", "other"],
        foreign: None,
        id: IdPlace::Header("X-Event-Id"),
        time: Some((TimePlace::Header("X-Timestamp"), 300)),
        signature: "X-Signature",
        is_list: false,
        endpoint: |secrets| {
            let new = |secret: &&str| HmacWebhook::new(SCHEME, secret).with_url(URL);
            Box::new(with(secrets, new, HmacWebhook::with_secret))
        },
        try_new: |secret| HmacWebhook::try_new(SCHEME, secret).map(drop),
    },
];

/// An endpoint with several secrets.
fn with<'s, S>(
    secrets: &'s [&'s str],
    new: impl Fn(&'s &'s str) -> S,
    more: impl Fn(S, &'s &'s str) -> S,
) -> S {
    let (first, rest) = secrets.split_first().expect("there is a secret");
    rest.iter().fold(new(first), more)
}

macro_rules! endpoint {
    ($webhook:ty, $event:ty, $verify:expr, |$signer:ident, $id:ident, $body:ident, $at:ident| $headers:expr) => {
        impl Endpoint for $webhook {
            fn sign(&self, $id: &str, $body: &[u8], $at: SystemTime) -> Result<Headers, SignatureError> {
                let _ = ($id, $at);
                let $signer = self;
                Ok($headers)
            }

            fn verify(&self, delivery: &Delivery<'_>, now: SystemTime) -> Result<Event, SignatureError> {
                let verify: fn(&$webhook, &Delivery<'_>, SystemTime) -> Result<$event, SignatureError> =
                    $verify;
                verify(self, delivery, now).map(|event| event_of(&event, event.payload()))
            }

            fn is_verified(&self, delivery: &Delivery<'_>, now: SystemTime) -> bool {
                let verify: fn(&$webhook, &Delivery<'_>, SystemTime) -> Result<$event, SignatureError> =
                    $verify;
                verify(self, delivery, now).is_ok()
            }

            fn decode(&self, delivery: &Delivery<'_>) -> Result<Event, PayloadError> {
                Sender::decode(self, delivery).map(|event| event_of(&event, event.payload()))
            }

            fn shown(&self) -> String {
                format!("{self:?} {self:#?}")
            }
        }
    };
}

fn event_of(event: &(impl WebhookEvent + std::fmt::Debug), payload: &[u8]) -> Event {
    let shown = format!("{event:?} {event:#?}");
    Event { id: event.event_id().to_owned(), payload: payload.to_vec(), shown }
}

endpoint!(
    StripeWebhook,
    StripeEvent,
    |webhook, delivery, now| webhook.verify_at(delivery.body(), delivery.header("Stripe-Signature")?, now),
    |webhook, id, body, at| vec![("Stripe-Signature", webhook.sign(body, at)?)]
);
endpoint!(
    StandardWebhook,
    StandardEvent,
    |webhook, delivery, now| webhook.verify_at(delivery, now),
    |webhook, id, body, at| {
        let [id, timestamp, signature] = webhook.sign(id, body, at)?;
        vec![("webhook-id", id), ("webhook-timestamp", timestamp), ("webhook-signature", signature)]
    }
);
endpoint!(
    GithubWebhook,
    GithubEvent,
    |webhook, delivery, _| Sender::verify(webhook, delivery),
    |webhook, id, body, at| vec![
        ("X-Hub-Signature-256", webhook.sign(body)?),
        ("X-GitHub-Delivery", id.to_owned()),
        ("X-GitHub-Event", "push".to_owned()),
    ]
);
endpoint!(
    SlackWebhook,
    SlackEvent,
    |webhook, delivery, now| webhook.verify_at(delivery, now),
    |webhook, id, body, at| {
        let [timestamp, signature] = webhook.sign(body, at)?;
        vec![("X-Slack-Request-Timestamp", timestamp), ("X-Slack-Signature", signature)]
    }
);
endpoint!(
    ShopifyWebhook,
    ShopifyEvent,
    |webhook, delivery, _| Sender::verify(webhook, delivery),
    |webhook, id, body, at| vec![
        ("X-Shopify-Hmac-Sha256", webhook.sign(body)?),
        ("X-Shopify-Webhook-Id", id.to_owned()),
        ("X-Shopify-Topic", "orders/create".to_owned()),
    ]
);
endpoint!(
    SquareWebhook,
    SquareEvent,
    |webhook, delivery, _| Sender::verify(webhook, delivery),
    |webhook, id, body, at| vec![("x-square-hmacsha256-signature", webhook.sign(body)?)]
);
endpoint!(
    PaddleWebhook,
    PaddleEvent,
    |webhook, delivery, now| webhook.verify_at(delivery, now),
    |webhook, id, body, at| vec![("Paddle-Signature", webhook.sign(body, at)?)]
);
endpoint!(
    HmacWebhook,
    HmacEvent,
    |webhook, delivery, now| webhook.verify_at(delivery, now),
    |webhook, id, body, at| webhook.sign(id, body, at)?
);
