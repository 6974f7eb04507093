//! The event of a verified delivery, for every framework and for none.

use std::fmt;

use super::rejection::SenderRejection;
use super::{Delivery, Sender, refusal};
use crate::event::WebhookEvent;

/// The verified event of a sender: `Verified<Partner>`.
///
/// A handler that takes one runs on verified events only. It is an extractor of axum, actix-web and poem, under the
/// features of these names, for senders of your own. The events of the senders of this crate are extractors by
/// themselves, in the same way.
///
/// | framework | the sender comes from | largest body, 2 MB unless set |
/// |---|---|---|
/// | axum | the router's state: `Partner: FromRef<S>` | `DefaultBodyLimit` |
/// | actix-web | `app_data`: a `Partner` or a `web::Data<Partner>` | `PayloadConfig` |
/// | poem | `.data(Partner)` | `.data(BodyLimit(bytes))` |
///
/// Set another limit if the sender sends more: GitHub's payloads have up to 25 MB
/// (<https://docs.github.com/en/webhooks/webhook-events-and-payloads#payload-cap>).
#[cfg_attr(feature = "axum", doc = include_str!("../axum/example.md"))]
#[cfg_attr(feature = "actix-web", doc = include_str!("../actix/example.md"))]
#[cfg_attr(feature = "poem", doc = include_str!("../poem/example.md"))]
/// # Without a framework
///
/// [`read`](Self::read) does what the extractors do:
///
/// ```
/// use std::time::SystemTime;
///
/// use ferro_idem::sender::slack::SlackWebhook;
/// use ferro_idem::sender::{Delivery, Verified};
///
/// let slack = SlackWebhook::new("8f742231b10e8888abcd99yyyzzz85a5");
/// let body = br#"{"type": "url_verification", "challenge": "3eZbrw1a"}"#;
/// let [timestamp, signature] = slack.sign(body, SystemTime::now())?;
/// let delivery = Delivery::new(body)
///     .with_header("X-Slack-Request-Timestamp", &timestamp)
///     .with_header("X-Slack-Signature", &signature);
///
/// match Verified::read(&slack, &delivery) {
///     Ok(Verified(event)) => panic!("{event:?} runs the handler"),
///     Err(rejection) => assert_eq!((rejection.status(), rejection.body()), (200, "3eZbrw1a".to_owned())),
/// }
/// # Ok::<(), ferro_idem::sender::SignatureError>(())
/// ```
pub struct Verified<S: Sender>(
    /// The event.
    pub S::Event,
);

impl<S: Sender> Verified<S> {
    /// Reads the event of a delivery that is signed by `sender`. Handshakes are rejections, with the answer to give.
    ///
    /// # Errors
    ///
    /// [`SenderRejection::Signature`] and [`SenderRejection::Handshake`].
    pub fn read(sender: &S, delivery: &Delivery<'_>) -> Result<Self, SenderRejection> {
        match refusal::logged_once(S::NAME, || sender.handshake(delivery))? {
            Some(reply) => Err(SenderRejection::Handshake(reply)),
            None => Ok(Self(refusal::logged_once(S::NAME, || sender.verify(delivery))?)),
        }
    }
}

impl<S: Sender<Event: fmt::Debug>> fmt::Debug for Verified<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Verified").field(&self.0).finish()
    }
}

impl<S: Sender> WebhookEvent for Verified<S> {
    fn event_id(&self) -> &str {
        self.0.event_id()
    }

    fn event_type(&self) -> Option<&str> {
        self.0.event_type()
    }
}
