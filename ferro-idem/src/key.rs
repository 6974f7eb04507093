//! The key of a delivery, made from what the attribute names.

#![expect(clippy::missing_errors_doc, reason = "only the expansion calls these")]

use crate::event::{EventRef, InvalidEventId, WebhookEvent};

/// A valid key, or the reason why the event has none.
pub(crate) type Key<'a> = Result<EventRef<'a>, InvalidEventId>;

/// The key of `event = EXPR`.
#[inline]
pub fn event<E: WebhookEvent + ?Sized>(event: &E) -> Key<'_> {
    EventRef::of(event)
}

/// The key of `event_id = EXPR`. The attribute cannot see the type of `EXPR`, so the compiler chooses: the
/// expansion calls `(&&&&&&IdProbe(&EXPR)).__ferro_idem_key()`. The method lookup removes one `&` after the
/// other, and each trait in `rules` is implemented for one `&` less than the trait before it. So the first
/// trait that fits is called.
pub struct IdProbe<'a, T: ?Sized>(pub &'a T);

/// An id that may be missing or may not be text.
pub trait Maybe {
    type Id;

    fn id(&self) -> Option<&Self::Id>;
}

impl<T> Maybe for Option<T> {
    type Id = T;

    #[inline]
    fn id(&self) -> Option<&T> {
        self.as_ref()
    }
}

/// `header.to_str()`.
impl<T, E> Maybe for Result<T, E> {
    type Id = T;

    #[inline]
    fn id(&self) -> Option<&T> {
        self.as_ref().ok()
    }
}

impl<T: Maybe + ?Sized> Maybe for &T {
    type Id = T::Id;

    #[inline]
    fn id(&self) -> Option<&T::Id> {
        (**self).id()
    }
}

/// Bytes that are an id if they are UTF-8. This is not implemented for every `AsRef<[u8]>`, because the bytes
/// of a UUID are not its text.
pub trait IdBytes {
    fn id_bytes(&self) -> &[u8];
}

impl IdBytes for [u8] {
    #[inline]
    fn id_bytes(&self) -> &[u8] {
        self
    }
}

impl IdBytes for Vec<u8> {
    #[inline]
    fn id_bytes(&self) -> &[u8] {
        self
    }
}

impl<T: IdBytes + ?Sized> IdBytes for &T {
    #[inline]
    fn id_bytes(&self) -> &[u8] {
        (**self).id_bytes()
    }
}

/// No type implements this. It gives types that are no id a compile error of their own.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event id",
    label = "not text",
    note = "an event id is an `AsRef<str>`, bytes or a header value (feature `axum`), or an `Option` or `Result` of one",
    note = "if it can be displayed, as numbers can: `event_id = EXPR.to_string()`"
)]
pub trait EventId {}

fn text<T: AsRef<str> + ?Sized>(id: &T) -> Key<'_> {
    EventRef::new(id.as_ref())
}

fn utf8(bytes: &[u8]) -> Key<'_> {
    EventRef::new(std::str::from_utf8(bytes).map_err(|_| InvalidEventId::NotText)?)
}

/// The traits that the expansion imports.
pub mod ids {
    pub use super::rules::{
        OfBytes as _, OfMaybeBytes as _, OfMaybeMaybeText as _, OfMaybeText as _, OfOther as _, OfText as _,
    };
}

pub(crate) mod rules {
    use super::{EventId, IdBytes, IdProbe, InvalidEventId, Key, Maybe, text, utf8};

    pub trait OfText<'a> {
        fn __ferro_idem_key(&self) -> Key<'a>;
    }

    pub trait OfMaybeText<'a> {
        fn __ferro_idem_key(&self) -> Key<'a>;
    }

    /// `headers.get("x-id").map(|value| value.to_str())`.
    pub trait OfMaybeMaybeText<'a> {
        fn __ferro_idem_key(&self) -> Key<'a>;
    }

    pub trait OfBytes<'a> {
        fn __ferro_idem_key(&self) -> Key<'a>;
    }

    /// `headers.get("x-id")`.
    pub trait OfMaybeBytes<'a> {
        fn __ferro_idem_key(&self) -> Key<'a>;
    }

    pub trait OfOther<'a, T: ?Sized> {
        fn __ferro_idem_key(&self) -> Key<'a>
        where
            T: EventId;
    }

    impl<'a, T: AsRef<str> + ?Sized> OfText<'a> for &&&&&IdProbe<'a, T> {
        #[inline]
        fn __ferro_idem_key(&self) -> Key<'a> {
            text(self.0)
        }
    }

    impl<'a, T: Maybe<Id: AsRef<str> + 'a>> OfMaybeText<'a> for &&&&IdProbe<'a, T> {
        #[inline]
        fn __ferro_idem_key(&self) -> Key<'a> {
            text(self.0.id().ok_or(InvalidEventId::Empty)?)
        }
    }

    impl<'a, T: Maybe<Id: Maybe<Id: AsRef<str> + 'a> + 'a>> OfMaybeMaybeText<'a> for &&&IdProbe<'a, T> {
        #[inline]
        fn __ferro_idem_key(&self) -> Key<'a> {
            text(self.0.id().and_then(Maybe::id).ok_or(InvalidEventId::Empty)?)
        }
    }

    impl<'a, T: IdBytes + ?Sized> OfBytes<'a> for &&IdProbe<'a, T> {
        #[inline]
        fn __ferro_idem_key(&self) -> Key<'a> {
            utf8(self.0.id_bytes())
        }
    }

    impl<'a, T: Maybe<Id: IdBytes + 'a>> OfMaybeBytes<'a> for &IdProbe<'a, T> {
        #[inline]
        fn __ferro_idem_key(&self) -> Key<'a> {
            utf8(self.0.id().ok_or(InvalidEventId::Empty)?.id_bytes())
        }
    }

    impl<'a, T: ?Sized> OfOther<'a, T> for IdProbe<'a, T> {
        #[inline]
        fn __ferro_idem_key(&self) -> Key<'a>
        where
            T: EventId,
        {
            Err(InvalidEventId::Empty)
        }
    }
}

/// Prefixes the id with `scope:`. The caller lends the buffer, so that a key without a scope costs nothing.
#[inline]
pub fn scoped<'a>(scope: &str, key: Key<'a>, buffer: &'a mut String) -> Key<'a> {
    let event = key?;
    buffer.reserve_exact(scope.len() + 1 + event.id().len());
    buffer.push_str(scope);
    buffer.push(':');
    buffer.push_str(event.id());
    Ok(EventRef::new(buffer)?.with_type(event.event_type()))
}

/// The scope of `scope = EXPR`. As for [`IdProbe`], the compiler chooses: what can be displayed is, as numbers and UUIDs
/// can; other types are an `AsRef<str>`.
pub struct ScopeProbe<'a, T: ?Sized>(pub &'a T);

/// No type implements this. It gives types that are no scope a compile error of their own.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a scope",
    label = "neither `Display` nor `AsRef<str>`",
    note = "a scope is text, a number, a UUID, or another type that implements `Display` or `AsRef<str>`",
    note = "a missing scope would let its callers share their keys: return an error for `None` first"
)]
pub trait Scope {}

/// The traits that the expansion imports.
pub mod scopes {
    use std::fmt::Display;

    use super::{Scope, ScopeProbe, scope_prefix};

    pub trait OfDisplay {
        fn __ferro_idem_scope(&self) -> String;
    }

    pub trait OfText {
        fn __ferro_idem_scope(&self) -> String;
    }

    pub trait OfOther<T: ?Sized> {
        fn __ferro_idem_scope(&self) -> String
        where
            T: Scope;
    }

    impl<T: Display + ?Sized> OfDisplay for &&ScopeProbe<'_, T> {
        fn __ferro_idem_scope(&self) -> String {
            scope_prefix(&self.0.to_string())
        }
    }

    impl<T: AsRef<str> + ?Sized> OfText for &ScopeProbe<'_, T> {
        fn __ferro_idem_scope(&self) -> String {
            scope_prefix(self.0.as_ref())
        }
    }

    impl<T: ?Sized> OfOther<T> for ScopeProbe<'_, T> {
        fn __ferro_idem_scope(&self) -> String
        where
            T: Scope,
        {
            String::new()
        }
    }
}

/// Begins the keys of `scope = EXPR`. A constant scope has no such character, so its keys are others.
const OF_AN_EXPRESSION: char = '~';

/// `~scope:`, where `:` and `%` are escaped: the first `:` ends the scope. Empty if there is no scope.
fn scope_prefix(scope: &str) -> String {
    if scope.is_empty() {
        return String::new();
    }
    let mut prefix = String::with_capacity(scope.len() + 2);
    prefix.push(OF_AN_EXPRESSION);
    for character in scope.chars() {
        match character {
            '%' => prefix.push_str("%25"),
            ':' => prefix.push_str("%3A"),
            other => prefix.push(other),
        }
    }
    prefix.push(':');
    prefix
}

/// Appends the id to the prefix of a scope.
#[inline]
pub fn scoped_by<'a>(key: Key<'a>, buffer: &'a mut String) -> Key<'a> {
    let event = key?;
    if buffer.is_empty() {
        return Err(InvalidEventId::NoScope);
    }
    buffer.push_str(event.id());
    Ok(EventRef::new(buffer)?.with_type(event.event_type()))
}

/// A key that borrows nothing, so that a lock taken in its expression is released before the next await.
pub struct OwnedKey {
    id: Result<String, InvalidEventId>,
    event_type: Option<String>,
}

#[inline]
pub fn owned(key: Key<'_>) -> OwnedKey {
    OwnedKey {
        id: key.map(|event| event.id().to_owned()),
        event_type: key.ok().and_then(|event| event.event_type()).map(str::to_owned),
    }
}

impl OwnedKey {
    #[inline]
    pub fn key(&self) -> Key<'_> {
        match &self.id {
            Ok(id) => Ok(EventRef::new(id)?.with_type(self.event_type.as_deref())),
            Err(reason) => Err(*reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::scopes::{OfDisplay as _, OfText as _};
    use super::*;

    fn key(scope: &str, id: &str) -> Result<String, InvalidEventId> {
        let mut buffer = (&&&ScopeProbe(scope)).__ferro_idem_scope();
        scoped_by(EventRef::new(id), &mut buffer).map(|event| event.id().to_owned())
    }

    #[test]
    fn two_pairs_of_scope_and_id_never_share_a_key() {
        let parts = ["a", "b", "a:b", "b:c", "%", "%3A", "%25", "~", "~a", ":", "::", "a%3Ab", "é"];
        let mut keys = HashSet::new();
        for scope in parts {
            for id in parts {
                assert!(keys.insert(key(scope, id).unwrap()), "{scope} and {id}");
            }
        }
        assert_eq!(key("a:b", "c").unwrap(), "~a%3Ab:c");
        assert_eq!(key("a", "b:c").unwrap(), "~a:b:c");
    }

    #[test]
    fn a_constant_scope_shares_no_key_with_an_expression() {
        let mut buffer = String::new();
        let constant = scoped("billing", EventRef::new("evt_1"), &mut buffer).unwrap();
        assert_eq!(constant.id(), "billing:evt_1");
        assert_ne!(key("billing", "evt_1").unwrap(), "billing:evt_1");
    }

    #[test]
    fn a_scope_is_what_it_displays_or_its_text() {
        struct Text(String);
        impl AsRef<str> for Text {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
        let text = Text("text".to_owned());
        assert_eq!((&&&ScopeProbe(&7_u64)).__ferro_idem_scope(), "~7:");
        assert_eq!((&&&ScopeProbe("text")).__ferro_idem_scope(), "~text:");
        assert_eq!((&&&ScopeProbe(&String::from("text"))).__ferro_idem_scope(), "~text:");
        assert_eq!((&&ScopeProbe(&text)).__ferro_idem_scope(), "~text:");
    }

    #[test]
    fn an_empty_a_long_and_a_nul_scope_are_refused() {
        assert_eq!(key("", "evt_1"), Err(InvalidEventId::NoScope));
        assert_eq!(key("a\0", "evt_1"), Err(InvalidEventId::HoldsNul));
        assert_eq!(key("a", ""), Err(InvalidEventId::Empty));
        assert_eq!(key(&"a".repeat(251), "id").map(|key| key.len()), Ok(255));
        assert_eq!(key(&"a".repeat(252), "id"), Err(InvalidEventId::TooLong { bytes: 256 }));
        assert_eq!(key(&":".repeat(84), "id"), Err(InvalidEventId::TooLong { bytes: 256 }));
    }
}
