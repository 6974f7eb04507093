//! What a link or a form says.

use axum::extract::Query;

use crate::operations::text::percent_encoded;

/// Pairs in their order. A name may be there several times, and then its first value counts.
pub(super) type Parameters = Query<Vec<(String, String)>>;

pub(super) fn parameter<'p>(parameters: &'p [(String, String)], name: &str) -> &'p str {
    parameters.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value.trim())
}

/// A query of the pairs that have a value.
pub(super) fn query<'p>(pairs: impl IntoIterator<Item = (&'p str, &'p str)>) -> String {
    let set = pairs.into_iter().filter(|(_, value)| !value.is_empty());
    let pairs: Vec<String> = set.map(|(name, value)| format!("{name}={}", percent_encoded(value))).collect();
    pairs.join("&")
}

/// Nothing that was typed is no value.
pub(super) fn typed(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

/// The id of a link or a form.
pub(super) fn id_of(hex: &str) -> Option<String> {
    String::from_utf8(hex::decode(hex).ok()?).ok()
}
