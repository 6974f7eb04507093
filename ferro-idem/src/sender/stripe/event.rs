//! A Stripe event.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::envelope::{Created, Envelope};
use crate::event::WebhookEvent;
use crate::sender::json;
use crate::sender::payload::{Flaw, PayloadError};

/// A Stripe event: the envelope, and the payload as it was sent.
///
/// Only a string at `id` and at `type` is required, each exactly once. Everything else about a signed event is
/// optional and lenient, so that no new API version breaks the fence: a field of a type that is not known here
/// counts as absent, and of two fields with one name the last one counts. Thin (v2) events, which carry a
/// [`related_object`](Self::related_object) instead of data, parse too.
///
/// Nothing but the envelope is decoded until you ask: [`object`](Self::object) decodes `data.object`, and
/// [`decode`](Self::decode) the whole event, into a type of your own, of another crate such as `async-stripe`, or
/// into `serde_json::Value`.
///
/// Neither the order of arrival nor [`created`](Self::created) is the order of events
/// (<https://docs.stripe.com/webhooks#event-ordering>). Cloning is cheap. `Debug` shows the envelope, never the
/// objects.
///
/// ```
/// # use ferro_idem::stripe::StripeEvent;
/// #[derive(serde::Deserialize)]
/// struct Invoice {
///     amount_paid: u64,
/// }
///
/// # let payload = br#"{"id": "evt_1", "type": "invoice.paid", "data": {"object": {"amount_paid": 500}}}"#;
/// let event = StripeEvent::from_unverified(payload)?;
/// if event.event_type() == "invoice.paid" {
///     let invoice: Invoice = event.object()?;
///     assert_eq!(invoice.amount_paid, 500);
/// }
/// # Ok::<(), ferro_idem::stripe::PayloadError>(())
/// ```
#[derive(Clone)]
pub struct StripeEvent {
    inner: Arc<Inner>,
}

struct Inner {
    payload: Box<str>,
    envelope: Envelope,
    /// The `t` of the signature.
    signed_at: Option<u64>,
}

impl StripeEvent {
    /// Reads an event from a source that is trusted without a signature: a queue that verified it, or a test.
    ///
    /// Never use it for a body from the network: use [`StripeWebhook::verify`](super::StripeWebhook::verify).
    ///
    /// ```
    /// use ferro_idem::stripe::StripeEvent;
    ///
    /// let event = StripeEvent::from_unverified(br#"{"id": "evt_1", "type": "invoice.paid"}"#)?;
    /// assert_eq!((event.id(), event.event_type()), ("evt_1", "invoice.paid"));
    /// # Ok::<(), ferro_idem::stripe::PayloadError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`PayloadError`] if the payload is not a JSON object in UTF-8, or does not have exactly one non-empty string
    /// at `id` and exactly one string at `type`.
    pub fn from_unverified(payload: &[u8]) -> Result<Self, PayloadError> {
        Self::read(payload, None)
    }

    /// The event of a payload that was signed at this second.
    pub(super) fn from_verified(payload: &[u8], signed_at: u64) -> Result<Self, PayloadError> {
        Self::read(payload, Some(signed_at))
    }

    fn read(payload: &[u8], signed_at: Option<u64>) -> Result<Self, PayloadError> {
        let payload = json::text(payload)?;
        let envelope = Envelope::parse(payload)?;
        Ok(Self { inner: Arc::new(Inner { payload: payload.into(), envelope, signed_at }) })
    }

    fn envelope(&self) -> &Envelope {
        &self.inner.envelope
    }

    /// `evt_...`, the same in every delivery of this event.
    pub fn id(&self) -> &str {
        &self.envelope().id
    }

    /// What happened: `invoice.paid`.
    pub fn event_type(&self) -> &str {
        &self.envelope().event_type
    }

    /// The connected account that the event is about, for Connect endpoints.
    pub fn account(&self) -> Option<&str> {
        self.envelope().account.as_deref()
    }

    /// The context to fetch the event's object in, for thin events.
    pub fn context(&self) -> Option<&str> {
        self.envelope().context.as_deref()
    }

    /// Whether the event is about real money. `false` if the payload does not say so.
    pub fn livemode(&self) -> bool {
        self.envelope().livemode
    }

    /// When the event was created. Do not order events by it.
    pub fn created(&self) -> Option<&Created> {
        self.envelope().created.as_ref()
    }

    /// The API version that shaped [`object`](Self::object). Thin events have none.
    pub fn api_version(&self) -> Option<&str> {
        self.envelope().api_version.as_deref()
    }

    /// The API request that caused the event: `req_...`.
    ///
    /// Read from `request.id`, from `request` in events of before 2017, and from `reason.request.id` in thin events.
    pub fn request_id(&self) -> Option<&str> {
        self.envelope().request_id.as_deref()
    }

    /// The `Idempotency-Key` of the API request that caused the event, if it was sent with one.
    ///
    /// It tells an event of your own request from one that somebody caused in the dashboard.
    ///
    /// ```
    /// # use ferro_idem::stripe::StripeEvent;
    /// let payload = br#"{"id": "evt_1", "type": "charge.refunded",
    ///     "request": {"id": "req_1", "idempotency_key": "refund-42"}}"#;
    /// let event = StripeEvent::from_unverified(payload)?;
    /// assert_eq!(event.request_id(), Some("req_1"));
    /// assert_eq!(event.request_idempotency_key(), Some("refund-42"));
    /// # Ok::<(), ferro_idem::stripe::PayloadError>(())
    /// ```
    pub fn request_idempotency_key(&self) -> Option<&str> {
        self.envelope().request_idempotency_key.as_deref()
    }

    /// The body as it was delivered, byte for byte.
    ///
    /// ```
    /// # use ferro_idem::stripe::StripeEvent;
    /// let payload = br#"{ "id": "evt_1", "type": "invoice.paid" }"#;
    /// assert_eq!(StripeEvent::from_unverified(payload)?.payload(), payload);
    /// # Ok::<(), ferro_idem::stripe::PayloadError>(())
    /// ```
    pub fn payload(&self) -> &[u8] {
        self.inner.payload.as_bytes()
    }

    /// Decodes the whole event, for a typed model of it.
    ///
    /// What [`object`](Self::object) says of the plain fence holds here too.
    ///
    /// ```
    /// # use ferro_idem::stripe::StripeEvent;
    /// #[derive(serde::Deserialize)]
    /// struct Event {
    ///     pending_webhooks: u32,
    /// }
    ///
    /// let payload = br#"{"id": "evt_1", "type": "invoice.paid", "pending_webhooks": 2}"#;
    /// let event: Event = StripeEvent::from_unverified(payload)?.decode()?;
    /// assert_eq!(event.pending_webhooks, 2);
    /// # Ok::<(), ferro_idem::stripe::PayloadError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`PayloadError`] if the event does not fit `T`.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, PayloadError> {
        json::decode(&self.inner.payload)
    }

    /// Decodes `data.object`.
    ///
    /// In a body under the plain fence the event is marked already: if the object does not fit `T`, the event is
    /// lost, not delivered again. Decode leniently there (`serde_json::Value`), or decode before the handler.
    ///
    /// # Errors
    ///
    /// [`PayloadError`] if there is none (a thin event), or it does not fit `T`.
    pub fn object<T: DeserializeOwned>(&self) -> Result<T, PayloadError> {
        self.part(self.envelope().object.as_ref(), "`data.object`")
    }

    /// Decodes `data.previous_attributes`: the values that an `...updated` event has replaced.
    ///
    /// ```
    /// # use ferro_idem::stripe::StripeEvent;
    /// #[derive(serde::Deserialize)]
    /// struct Previous {
    ///     status: Option<String>,
    /// }
    ///
    /// let payload = br#"{"id": "evt_1", "type": "customer.subscription.updated",
    ///     "data": {"object": {"status": "active"}, "previous_attributes": {"status": "trialing"}}}"#;
    /// let previous: Previous = StripeEvent::from_unverified(payload)?.previous_attributes()?;
    /// assert_eq!(previous.status.as_deref(), Some("trialing"));
    /// # Ok::<(), ferro_idem::stripe::PayloadError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`PayloadError`] if there are none (the event is no update), or they do not fit `T`.
    pub fn previous_attributes<T: DeserializeOwned>(&self) -> Result<T, PayloadError> {
        self.part(self.envelope().previous_attributes.as_ref(), "`data.previous_attributes`")
    }

    /// Decodes `related_object`, the reference that a thin event carries.
    ///
    /// ```
    /// # use ferro_idem::stripe::StripeEvent;
    /// #[derive(serde::Deserialize)]
    /// struct Reference {
    ///     url: String,
    /// }
    ///
    /// let payload = br#"{"id": "evt_1", "type": "v1.billing.meter.no_meter_found",
    ///     "related_object": {"id": "mtr_1", "type": "billing.meter", "url": "/v1/billing/meters/mtr_1"}}"#;
    /// let meter: Reference = StripeEvent::from_unverified(payload)?.related_object()?;
    /// assert_eq!(meter.url, "/v1/billing/meters/mtr_1");
    /// # Ok::<(), ferro_idem::stripe::PayloadError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`PayloadError`] if there is none (a snapshot event), or it does not fit `T`.
    pub fn related_object<T: DeserializeOwned>(&self) -> Result<T, PayloadError> {
        self.part(self.envelope().related_object.as_ref(), "`related_object`")
    }

    fn part<T: DeserializeOwned>(
        &self,
        range: Option<&Range<usize>>,
        name: &'static str,
    ) -> Result<T, PayloadError> {
        let part = range.and_then(|range| self.inner.payload.get(range.clone()));
        json::decode(part.ok_or(PayloadError::no_event(Flaw::Lacks(name)))?)
    }

    /// Whether this is the event that the dashboard's "Send test webhook" delivers: `evt_00000000000000`, the same
    /// id every time.
    ///
    /// For a log it is one event, so every test after the first one is answered as a duplicate; see
    /// [`testable`](Self::testable).
    ///
    /// ```
    /// # use ferro_idem::stripe::StripeEvent;
    /// let payload = br#"{"id": "evt_00000000000000", "type": "invoice.paid", "livemode": false}"#;
    /// assert!(StripeEvent::from_unverified(payload)?.is_dashboard_test());
    /// # Ok::<(), ferro_idem::stripe::PayloadError>(())
    /// ```
    pub fn is_dashboard_test(&self) -> bool {
        let digits = self.id().strip_prefix("evt_").unwrap_or_default();
        !digits.is_empty() && digits.bytes().all(|digit| digit == b'0')
    }

    /// This event under a key that lets every test of the dashboard run.
    ///
    /// The key is the id. For [the dashboard's test event](Self::is_dashboard_test) it is the id and the second in
    /// which the delivery was signed, so that only a replay of the same delivery is a duplicate. Stripe signs each
    /// redelivery anew, so a test that fails runs again, and so may one that succeeds.
    ///
    /// ```
    /// use ferro_idem::stripe::StripeEvent;
    /// use ferro_idem::{Error, ProcessedEventLog, idempotent_webhook};
    ///
    /// #[idempotent_webhook(event = event.testable())]
    /// async fn on_event(log: &impl ProcessedEventLog, event: StripeEvent) -> Result<(), Error> {
    ///     println!("{}", event.event_type());
    ///     Ok(())
    /// }
    /// ```
    pub fn testable(&self) -> Testable<'_> {
        let id = match self.inner.signed_at {
            Some(signed_at) if self.is_dashboard_test() => format!("{}@{signed_at}", self.id()).into(),
            _ => Cow::Borrowed(self.id()),
        };
        Testable { id, event_type: self.event_type() }
    }
}

/// Made by [`StripeEvent::testable`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Testable<'a> {
    id: Cow<'a, str>,
    event_type: &'a str,
}

impl WebhookEvent for Testable<'_> {
    fn event_id(&self) -> &str {
        &self.id
    }

    fn event_type(&self) -> Option<&str> {
        Some(self.event_type)
    }
}

impl WebhookEvent for StripeEvent {
    fn event_id(&self) -> &str {
        self.id()
    }

    fn event_type(&self) -> Option<&str> {
        Some(self.event_type())
    }
}

impl fmt::Debug for StripeEvent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("StripeEvent")
            .field("id", &self.id())
            .field("type", &self.event_type())
            .field("account", &self.account())
            .field("livemode", &self.livemode())
            .field("created", &self.created())
            .field("api_version", &self.api_version())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "event_tests.rs"]
mod tests;
