//! What is read of an event: a string at `id` and at `type`, and everything else only if it fits.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::payload::{Flaw, PayloadError};

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
        if payload.starts_with('\u{feff}') {
            return Err(PayloadError::no_event(Flaw::ByteOrderMark));
        }
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
        let members = members(payload, names).map_err(|error| PayloadError::not("an event", &error))?;
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
    // 2^53: from here on, `f64` does not tell seconds apart.
    const MAX: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
    (seconds.abs() < MAX).then(|| seconds.floor() as i64)
}

/// The value, if it is there and fits.
fn lenient<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>) -> Option<T> {
    serde_json::from_str(raw?.get()).ok()
}

/// `null` is no value.
fn present(raw: Option<&RawValue>) -> Option<&RawValue> {
    raw.filter(|raw| raw.get() != "null")
}

/// Where the value is in the payload.
fn range_in(payload: &str, raw: Option<&RawValue>) -> Option<Range<usize>> {
    let raw = present(raw)?.get();
    let start = raw.as_ptr().addr().checked_sub(payload.as_ptr().addr())?;
    Some(start..start + raw.len())
}

/// One member of a JSON object, as it was sent.
#[derive(Clone, Copy, Default)]
struct Member<'a> {
    /// The last one wins, as in `serde_json::Value`.
    last: Option<&'a RawValue>,
    is_repeated: bool,
}

impl Member<'_> {
    /// The string, which has to be there exactly once. Two readers of a repeated member may differ in which one
    /// they take, and the fence would then keep another event than the one that the handler sees.
    fn strict(&self, payload: &str, name: &'static str) -> Result<String, PayloadError> {
        if self.is_repeated {
            return Err(PayloadError::no_event(Flaw::Repeats(name)));
        }
        lenient(self.last).ok_or_else(|| {
            let end = range_in(payload, self.last).map_or(payload.trim_end().len(), |range| range.end);
            let before = payload.get(..end).unwrap_or(payload);
            let line = 1 + before.matches('\n').count();
            let column = before.rsplit('\n').next().unwrap_or_default().len();
            PayloadError::no_event(Flaw::Shape { line, column })
        })
    }
}

/// The named members of a value, none of them if it is no object.
fn within<'a, const N: usize>(
    raw: Option<&'a RawValue>,
    names: [&'static str; N],
) -> [Option<&'a RawValue>; N] {
    let members = raw.and_then(|raw| members(raw.get(), names).ok());
    members.map_or([None; N], |members| members.map(|member| member.last))
}

fn members<'a, const N: usize>(
    text: &'a str,
    names: [&'static str; N],
) -> Result<[Member<'a>; N], serde_json::Error> {
    let mut json = serde_json::Deserializer::from_str(text);
    // Only an object: what serde derives for a struct takes an array too, by the order of its fields.
    let members = json.deserialize_map(Members(names))?;
    json.end()?;
    Ok(members)
}

struct Members<const N: usize>([&'static str; N]);

impl<'de, const N: usize> Visitor<'de> for Members<N> {
    type Value = [Member<'de>; N];

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = [Member::default(); N];
        while let Some(index) = map.next_key_seed(Name(&self.0))? {
            let value = map.next_value()?;
            if let Some(member) = index.and_then(|index| members.get_mut(index)) {
                *member = Member { last: Some(value), is_repeated: member.last.is_some() };
            }
        }
        Ok(members)
    }
}

/// Which of the known names it is. It is read as bytes, so that a name that is no text (a lone surrogate) is
/// passed over like any other that is not known.
struct Name<'n>(&'n [&'static str]);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<usize>, D::Error> {
        deserializer.deserialize_bytes(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<usize>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a name")
    }

    fn visit_bytes<E>(self, name: &[u8]) -> Result<Option<usize>, E> {
        Ok(self.0.iter().position(|known| known.as_bytes() == name))
    }
}
