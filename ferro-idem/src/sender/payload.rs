//! The error for payloads that are not events, or that do not fit a type.

/// A payload is not an event, or a part of it does not fit the type that was asked for.
///
/// The message says where, never what: serde's own messages quote the payload.
///
/// ```
/// use ferro_idem::stripe::StripeEvent;
///
/// let error = StripeEvent::from_unverified(br#"{"id": 7, "type": "invoice.paid"}"#).unwrap_err();
/// let place = "the body is not an event: a field is missing or of another type, at line 1, column 8";
/// assert_eq!(error.to_string(), place);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body is not {expected}: {flaw}")]
pub struct PayloadError {
    expected: &'static str,
    flaw: Flaw,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Flaw {
    #[error("not UTF-8 from byte {index} on")]
    NotUtf8 { index: usize },
    #[error("it begins with a byte-order mark")]
    ByteOrderMark,
    #[error("not JSON from line {line}, column {column} on")]
    NotJson { line: usize, column: usize },
    #[error("a field is missing or of another type, at line {line}, column {column}")]
    Shape { line: usize, column: usize },
    #[error("it lacks {0}")]
    Lacks(&'static str),
    #[error("it has {0} more than once")]
    Repeats(&'static str),
}

impl Flaw {
    /// A field whose value, or whose lack, ends at this byte.
    pub(super) fn shape_at(payload: &str, end: usize) -> Self {
        let before = payload.get(..end).unwrap_or(payload);
        let line = 1 + before.matches('\n').count();
        let column = before.rsplit('\n').next().unwrap_or_default().len();
        Self::Shape { line, column }
    }
}

impl PayloadError {
    pub(super) const fn no_event(flaw: Flaw) -> Self {
        Self { expected: "an event", flaw }
    }

    /// A value that serde does not take for `expected`.
    pub(super) fn not(expected: &'static str, error: &serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        let flaw =
            if error.is_data() { Flaw::Shape { line, column } } else { Flaw::NotJson { line, column } };
        Self { expected, flaw }
    }
}
