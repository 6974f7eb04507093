//! Reads the envelope of an event: strings at `id` and `type`, and everything else only if it fits.

use std::ops::Range;

use serde_json::value::RawValue;

use crate::sender::json::{lenient, members, present, range_in, within};
use crate::sender::payload::{Flaw, PayloadError};

/// When Stripe created the event, as the payload says it. It is not the order of events.
///
/// ```
/// use ferro_idem::stripe::{Created, StripeEvent};
///
/// let event = StripeEvent::from_unverified(br#"{"id": "evt_1", "type": "invoice.paid", "created": 1686089970}"#)?;
/// assert_eq!(event.created(), Some(&Created::UnixSeconds(1_686_089_970)));
/// # Ok::<(), ferro_idem::stripe::PayloadError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Created {
    /// Seconds since 1970, in snapshot (v1) events. A fraction is dropped.
    UnixSeconds(i64),
    /// A text as it was sent. In thin (v2) events it is RFC 3339.
    Rfc3339(String),
}

/// The envelope, decoded once. The objects stay where they are in the payload.
#[derive(Clone, Default)]
pub(super) struct Envelope {
    pub(super) id: String,
    pub(super) event_type: String,
    pub(super) account: Option<String>,
    pub(super) context: Option<String>,
    pub(super) livemode: bool,
    pub(super) created: Option<Created>,
    pub(super) api_version: Option<String>,
    pub(super) request_id: Option<String>,
    pub(super) request_idempotency_key: Option<String>,
    pub(super) object: Option<Range<usize>>,
    pub(super) previous_attributes: Option<Range<usize>>,
    pub(super) related_object: Option<Range<usize>>,
}

impl Envelope {
    pub(super) fn parse(payload: &str) -> Result<Self, PayloadError> {
        let names = [
            "id",
            "type",
            "account",
            "context",
            "livemode",
            "created",
            "api_version",
            "data",
            "related_object",
            "request",
            "reason",
        ];
        let members = members(payload, names)?;
        let [
            id,
            event_type,
            account,
            context,
            livemode,
            created,
            api_version,
            data,
            related,
            request,
            reason,
        ] = members;
        let [object, previous_attributes] = within(data.last, ["object", "previous_attributes"]);
        let request = Request::of(request.last, reason.last);
        let envelope = Self {
            id: id.strict(payload, "`id`")?,
            event_type: event_type.strict(payload, "`type`")?,
            account: lenient(account.last),
            context: lenient(context.last),
            livemode: lenient(livemode.last).unwrap_or(false),
            created: Created::of(created.last),
            api_version: lenient(api_version.last),
            request_id: request.id,
            request_idempotency_key: request.idempotency_key,
            object: range_in(payload, object),
            previous_attributes: range_in(payload, previous_attributes),
            related_object: range_in(payload, related.last),
        };
        if envelope.id.is_empty() {
            return Err(PayloadError::no_event(Flaw::Lacks("a non-empty `id`")));
        }
        Ok(envelope)
    }
}

/// What made Stripe create the event.
#[derive(Default)]
struct Request {
    id: Option<String>,
    idempotency_key: Option<String>,
}

impl Request {
    /// A snapshot event has it at `request`, as an object; before 2017-05-25 as the id alone. A thin event has
    /// it at `reason.request` (<https://docs.stripe.com/api/v2/core/events/object>).
    fn of(request: Option<&RawValue>, reason: Option<&RawValue>) -> Self {
        let [of_reason] = within(reason, ["request"]);
        let request = present(request).or(of_reason);
        let [id, idempotency_key] = within(request, ["id", "idempotency_key"]);
        Self { id: lenient(id).or_else(|| lenient(request)), idempotency_key: lenient(idempotency_key) }
    }
}

impl Created {
    fn of(raw: Option<&RawValue>) -> Option<Self> {
        lenient(raw)
            .map(Self::UnixSeconds)
            .or_else(|| whole_seconds(lenient(raw)?).map(Self::UnixSeconds))
            .or_else(|| lenient(raw).map(Self::Rfc3339))
    }
}

/// The second that a time lies in.
fn whole_seconds(seconds: f64) -> Option<i64> {
    // From 2^53 on, `f64` cannot represent every second.
    const MAX: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
    (seconds.abs() < MAX).then(|| seconds.floor() as i64)
}
