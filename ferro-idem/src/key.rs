//! The key of a delivery, made from what the attribute names.

use crate::event::{EventRef, InvalidEventId, WebhookEvent};

/// A valid key, or why the event has none.
pub(crate) type Key<'a> = Result<EventRef<'a>, InvalidEventId>;

/// The key of `event = EXPR`.
#[inline]
pub fn event<E: WebhookEvent + ?Sized>(event: &E) -> Key<'_> {
    EventRef::of(event)
}

/// The key of `event_id = EXPR`.
#[inline]
pub fn event_id<I: IdText + ?Sized>(id: &I) -> Key<'_> {
    EventRef::new(id.id_text())
}

/// `AsRef<str>`, with a message of its own.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event id",
    label = "not an `AsRef<str>`",
    note = "an event id is text: write `event_id = EXPR.to_string()`"
)]
pub trait IdText {
    fn id_text(&self) -> &str;
}

#[diagnostic::do_not_recommend]
impl<T: AsRef<str> + ?Sized> IdText for T {
    #[inline]
    fn id_text(&self) -> &str {
        self.as_ref()
    }
}

/// Puts `scope:` before the id. The caller lends the buffer, so that an unscoped key costs nothing.
#[inline]
pub fn scoped<'a>(scope: &str, key: Key<'a>, buffer: &'a mut String) -> Key<'a> {
    let event = key?;
    buffer.reserve_exact(scope.len() + 1 + event.id().len());
    buffer.push_str(scope);
    buffer.push(':');
    buffer.push_str(event.id());
    Ok(EventRef::new(buffer)?.with_type(event.event_type()))
}

/// A key that borrows nothing, so that what its expression locked is free again.
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
