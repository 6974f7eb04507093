//! The envelope of an event.

use std::fmt;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::object::Object;
use crate::event::WebhookEvent;

/// A Stripe event: the envelope, and the object as it was sent.
///
/// The envelope is all that is parsed, so that no new API version breaks the fence;
/// [`object`](Self::object) decodes `data.object` into a type of your own, or into
/// `serde_json::Value`, when you ask. Thin (v2) events, which carry a
/// [`related_object`](Self::related_object) instead of data, parse too.
///
/// Neither the order of arrival nor [`created`](Self::created) is the order of events
/// (<https://docs.stripe.com/webhooks#event-ordering>). `Debug` shows the envelope, never the
/// object.
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
    envelope: Envelope,
}

#[derive(Clone, Deserialize)]
struct Envelope {
    id: String,
    #[serde(rename = "type")]
    event_type: String,
    #[serde(default)]
    account: Option<String>,
    #[serde(default)]
    context: Option<String>,
    #[serde(default)]
    livemode: Option<bool>,
    #[serde(default)]
    created: Option<Created>,
    #[serde(default)]
    api_version: Option<String>,
    #[serde(default)]
    data: Option<Object<Data>>,
    #[serde(default)]
    related_object: Option<Box<RawValue>>,
}

#[derive(Clone, Deserialize)]
struct Data {
    #[serde(default)]
    object: Option<Box<RawValue>>,
}

/// When Stripe made the event, as it says it. Not an order of events.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Created {
    /// Seconds since 1970, in snapshot (v1) events.
    UnixSeconds(i64),
    /// RFC 3339, in thin (v2) events.
    Rfc3339(String),
}

impl StripeEvent {
    /// An event from a source that is trusted without a signature: a queue that verified it, or
    /// a test.
    ///
    /// Never a body from the network: use [`StripeWebhook::verify`](super::StripeWebhook::verify).
    ///
    /// # Errors
    ///
    /// [`PayloadError`] where the payload is not JSON, or has no string at `"id"` or `"type"`.
    pub fn from_unverified(payload: &[u8]) -> Result<Self, PayloadError> {
        Self::from_verified(payload)
    }

    pub(super) fn from_verified(payload: &[u8]) -> Result<Self, PayloadError> {
        let Object(envelope): Object<Envelope> =
            serde_json::from_slice(payload).map_err(|error| PayloadError::new("an event", &error))?;
        if envelope.id.is_empty() {
            return Err(PayloadError { expected: "an event", flaw: Flaw::Lacks("a non-empty `id`") });
        }
        Ok(Self { envelope })
    }

    /// `evt_...`, the same in every delivery of this event.
    pub fn id(&self) -> &str {
        &self.envelope.id
    }

    /// What happened: `invoice.paid`.
    pub fn event_type(&self) -> &str {
        &self.envelope.event_type
    }

    /// The connected account that the event is about, for Connect endpoints.
    pub fn account(&self) -> Option<&str> {
        self.envelope.account.as_deref()
    }

    /// The context to fetch the event's object in, for thin events.
    pub fn context(&self) -> Option<&str> {
        self.envelope.context.as_deref()
    }

    /// Whether the event is about real money. `false` where the payload does not say so.
    pub fn livemode(&self) -> bool {
        self.envelope.livemode.unwrap_or(false)
    }

    /// When the event was made. Do not order events by it.
    pub fn created(&self) -> Option<&Created> {
        self.envelope.created.as_ref()
    }

    /// The API version that shaped [`object`](Self::object). Thin events have none.
    pub fn api_version(&self) -> Option<&str> {
        self.envelope.api_version.as_deref()
    }

    /// Decodes `data.object`.
    ///
    /// In a body under the plain fence the event is marked already: an object that does not fit `T`
    /// is then lost, not delivered again. Decode leniently there (`serde_json::Value`), or decode
    /// before the handler.
    ///
    /// # Errors
    ///
    /// [`PayloadError`] where there is none (a thin event), or it does not fit `T`.
    pub fn object<T: DeserializeOwned>(&self) -> Result<T, PayloadError> {
        let object = self.envelope.data.as_ref().and_then(|Object(data)| data.object.as_deref());
        decode(object, "`data.object`")
    }

    /// Decodes `related_object`, the reference that a thin event carries.
    ///
    /// # Errors
    ///
    /// [`PayloadError`] where there is none (a snapshot event), or it does not fit `T`.
    pub fn related_object<T: DeserializeOwned>(&self) -> Result<T, PayloadError> {
        decode(self.envelope.related_object.as_deref(), "`related_object`")
    }
}

fn decode<T: DeserializeOwned>(raw: Option<&RawValue>, name: &'static str) -> Result<T, PayloadError> {
    let raw = raw.ok_or(PayloadError { expected: "an event", flaw: Flaw::Lacks(name) })?;
    serde_json::from_str(raw.get()).map_err(|error| PayloadError::new(std::any::type_name::<T>(), &error))
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

/// A payload is not what it should be.
///
/// Says where, never what: serde's own messages quote the payload.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body is not {expected}: {flaw}")]
pub struct PayloadError {
    expected: &'static str,
    flaw: Flaw,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Flaw {
    #[error("not JSON from line {line}, column {column} on")]
    NotJson { line: usize, column: usize },
    #[error("a field is missing or of another type, at line {line}, column {column}")]
    Shape { line: usize, column: usize },
    #[error("it lacks {0}")]
    Lacks(&'static str),
}

impl PayloadError {
    fn new(expected: &'static str, error: &serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        let flaw =
            if error.is_data() { Flaw::Shape { line, column } } else { Flaw::NotJson { line, column } };
        Self { expected, flaw }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SNAPSHOT: &str = r#"{
        "id": "evt_1NG8Du2eZvKYlo2CUI79vXWy", "object": "event", "api_version": "2019-02-19",
        "created": 1686089970, "type": "setup_intent.created", "livemode": true,
        "account": "acct_1", "pending_webhooks": 0,
        "data": {"object": {"id": "seti_1", "secret_note": "canary", "amount": 12}},
        "request": {"id": null, "idempotency_key": null}
    }"#;

    const THIN: &str = r#"{
        "id": "evt_65RCjj4EqW1sabcjs2Z16RCMoNQdSQkOWvfL6L5uU2K40u", "object": "v2.core.event",
        "type": "v1.billing.meter.error_report_triggered", "context": "acct_1", "livemode": false,
        "created": "2025-01-01T00:00:00.000Z", "reason": null,
        "related_object": {"id": "mtr_1", "type": "billing.meter", "url": "/v1/billing/meters/mtr_1"}
    }"#;

    fn parse(payload: &str) -> Result<StripeEvent, PayloadError> {
        StripeEvent::from_unverified(payload.as_bytes())
    }

    #[test]
    fn a_snapshot_event_is_read() {
        let event = parse(SNAPSHOT).unwrap();
        assert_eq!(event.id(), "evt_1NG8Du2eZvKYlo2CUI79vXWy");
        assert_eq!(event.event_type(), "setup_intent.created");
        assert_eq!(event.account(), Some("acct_1"));
        assert_eq!(event.api_version(), Some("2019-02-19"));
        assert_eq!(event.created(), Some(&Created::UnixSeconds(1_686_089_970)));
        assert!(event.livemode());
        assert_eq!(event.context(), None);
        let key = crate::EventRef::of(&event).unwrap();
        assert_eq!((key.id(), key.event_type()), (event.id(), Some("setup_intent.created")));
        let object: serde_json::Value = event.object().unwrap();
        assert_eq!(object["amount"], 12);
    }

    #[test]
    fn a_thin_event_is_read() {
        let event = parse(THIN).unwrap();
        assert_eq!(event.event_type(), "v1.billing.meter.error_report_triggered");
        assert_eq!(event.created(), Some(&Created::Rfc3339("2025-01-01T00:00:00.000Z".into())));
        assert!(!event.livemode());
        assert_eq!(event.context(), Some("acct_1"));
        let related: serde_json::Value = event.related_object().unwrap();
        assert_eq!(related["id"], "mtr_1");
        assert_eq!(
            event.object::<serde_json::Value>().unwrap_err().to_string(),
            "the body is not an event: it lacks `data.object`"
        );
    }

    #[test]
    fn fields_that_stripe_may_add_or_drop_do_not_matter() {
        let event = parse(r#"{"type": "t", "new": [1, {"deep": null}], "id": "evt_1"}"#).unwrap();
        assert_eq!((event.id(), event.account(), event.created()), ("evt_1", None, None));
    }

    #[test]
    fn what_is_not_an_event_is_refused_with_the_place() {
        for (payload, message) in [
            ("", "the body is not an event: not JSON from line 1, column 0 on"),
            ("not json", "the body is not an event: not JSON from line 1, column 2 on"),
            ("{\"id\": \"evt_1\"", "the body is not an event: not JSON from line 1, column 14 on"),
            ("[]", "the body is not an event: a field is missing or of another type, at line 1, column 0"),
            (
                r#"{"type": "t"}"#,
                "the body is not an event: a field is missing or of another type, at line 1, column 13",
            ),
            (
                r#"{"id": 7, "type": "t"}"#,
                "the body is not an event: a field is missing or of another type, at line 1, column 8",
            ),
            (r#"{"id": "", "type": "t"}"#, "the body is not an event: it lacks a non-empty `id`"),
        ] {
            assert_eq!(parse(payload).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn an_array_is_no_event_and_no_data() {
        for payload in [
            r#"["evt_1", "invoice.paid"]"#,
            r#"{"id": "evt_1", "type": "invoice.paid", "data": [{"amount": 12}]}"#,
        ] {
            let error = parse(payload).unwrap_err().to_string();
            assert!(error.contains("a field is missing or of another type"), "{payload}: {error}");
        }
    }

    #[test]
    fn neither_debug_nor_an_error_shows_the_object() {
        let event = parse(SNAPSHOT).unwrap();
        let error = event.object::<String>().unwrap_err();
        let error_in_field = event.object::<std::collections::HashMap<String, u8>>().unwrap_err();
        for text in [format!("{event:?}"), format!("{error} {error:?}"), format!("{error_in_field:?}")] {
            assert!(!text.contains("canary"), "{text}");
        }
        assert!(format!("{event:?}").contains("evt_1NG8Du2eZvKYlo2CUI79vXWy"));
    }
}
