//! Reads named members of a JSON object, without decoding the rest of the body.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::payload::{Flaw, PayloadError};

/// The body as text.
pub(super) fn text(body: &[u8]) -> Result<&str, PayloadError> {
    let text = std::str::from_utf8(body)
        .map_err(|error| PayloadError::no_event(Flaw::NotUtf8 { index: error.valid_up_to() }))?;
    if text.starts_with('\u{feff}') {
        return Err(PayloadError::no_event(Flaw::ByteOrderMark));
    }
    Ok(text)
}

pub(super) fn decode<T: DeserializeOwned>(text: &str) -> Result<T, PayloadError> {
    serde_json::from_str(text).map_err(|error| PayloadError::not(std::any::type_name::<T>(), &error))
}

/// The named members of an event, which is a JSON object.
pub(super) fn members<'a, const N: usize>(
    text: &'a str,
    names: [&'static str; N],
) -> Result<[Member<'a>; N], PayloadError> {
    raw_members(text, names).map_err(|error| PayloadError::not("an event", &error))
}

/// The value, if it is there and fits.
pub(super) fn lenient<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>) -> Option<T> {
    serde_json::from_str(raw?.get()).ok()
}

/// Treats `null` as a missing value.
pub(super) fn present(raw: Option<&RawValue>) -> Option<&RawValue> {
    raw.filter(|raw| raw.get() != "null")
}

/// Where the value is in the payload.
pub(super) fn range_in(payload: &str, raw: Option<&RawValue>) -> Option<Range<usize>> {
    let raw = present(raw)?.get();
    let start = raw.as_ptr().addr().checked_sub(payload.as_ptr().addr())?;
    Some(start..start + raw.len())
}

/// One member of a JSON object, as it was sent.
#[derive(Clone, Copy, Default)]
pub(super) struct Member<'a> {
    /// The last one wins, as in `serde_json::Value`.
    pub(super) last: Option<&'a RawValue>,
    is_repeated: bool,
}

impl Member<'_> {
    /// Returns the string, which has to be there exactly once. Two readers of a repeated member may choose different
    /// ones, and the fence would then mark another event than the one that the handler sees.
    pub(super) fn strict(&self, payload: &str, name: &'static str) -> Result<String, PayloadError> {
        if self.is_repeated {
            return Err(PayloadError::no_event(Flaw::Repeats(name)));
        }
        lenient(self.last).ok_or_else(|| {
            let end = range_in(payload, self.last).map_or(payload.trim_end().len(), |range| range.end);
            PayloadError::no_event(Flaw::shape_at(payload, end))
        })
    }
}

/// The named members of a value. A value that is not an object has none.
pub(super) fn within<'a, const N: usize>(
    raw: Option<&'a RawValue>,
    names: [&'static str; N],
) -> [Option<&'a RawValue>; N] {
    let members = raw.and_then(|raw| raw_members(raw.get(), names).ok());
    members.map_or([None; N], |members| members.map(|member| member.last))
}

/// The string or the whole number at the end of a path of names, each of which has to be there exactly once.
#[cfg(feature = "hmac")]
pub(super) fn strict_at(text: &str, path: &[&'static str]) -> Result<String, PayloadError> {
    let misplaced = |end: &str| {
        let end = end.as_ptr().addr() + end.len() - text.as_ptr().addr();
        PayloadError::no_event(Flaw::shape_at(text, end))
    };
    let mut value = text.trim_end();
    for name in path {
        let [member] = raw_members(value, [*name]).map_err(|_| misplaced(value))?;
        if member.is_repeated {
            return Err(PayloadError::no_event(Flaw::Repeats("a name on the way to its id")));
        }
        value = member.last.ok_or_else(|| misplaced(value))?.get();
    }
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let number = || is_number.then(|| value.to_owned());
    serde_json::from_str(value).ok().or_else(number).ok_or_else(|| misplaced(value))
}

/// The string at the end of a path of names, if it is there.
#[cfg(feature = "hmac")]
pub(super) fn lenient_at(text: &str, path: &[&'static str]) -> Option<String> {
    let mut value = text;
    for name in path {
        let [member] = raw_members(value, [*name]).ok()?;
        value = member.last?.get();
    }
    serde_json::from_str(value).ok()
}

fn raw_members<'a, const N: usize>(
    text: &'a str,
    names: [&'static str; N],
) -> Result<[Member<'a>; N], serde_json::Error> {
    let mut json = serde_json::Deserializer::from_str(text);
    // Only an object is accepted. A struct with serde's derive would accept an array too, in the order of its fields.
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

/// Finds the index of a known name. Names are read as bytes, so that a name that is not text (a lone surrogate) is
/// skipped like any other unknown name.
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
