//! The id and the type of an event.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

/// An event that knows its id.
///
/// `#[idempotent_webhook]` reads the id from the parameter named `event` (or from `event = EXPR`).
///
/// The id is the sender's own, the same in every delivery of the event: a Stripe `evt_...`, not the id of a
/// request. An event without one returns `""`, which is refused with [`InvalidEventId::Empty`] before the log is
/// asked.
///
/// Implemented for text (`str`, `String`) and for pointers to an event; under the feature `json` for
/// `serde_json::Value`, under `stripe` for [`StripeEvent`](crate::stripe::StripeEvent), and under `axum` for
/// `Json<T>` of an event. The application's own types implement the trait:
///
/// ```
/// use ferro_idem::WebhookEvent;
///
/// struct OrderPaid {
///     delivery_id: String,
/// }
///
/// impl WebhookEvent for OrderPaid {
///     fn event_id(&self) -> &str {
///         &self.delivery_id
///     }
///
///     fn event_type(&self) -> Option<&str> {
///         Some("order.paid")
///     }
/// }
/// # assert_eq!(OrderPaid { delivery_id: "1".into() }.event_type(), Some("order.paid"));
/// ```
#[cfg_attr(
    all(feature = "axum", feature = "json", feature = "stripe"),
    diagnostic::on_unimplemented(
        message = "`{Self}` does not say what its event id is",
        label = "not a `WebhookEvent`",
        note = "name the id: `#[idempotent_webhook(event_id = EXPR)]`, any `AsRef<str>`",
        note = "or implement `ferro_idem::WebhookEvent` for a type of your own"
    )
)]
#[cfg_attr(
    not(all(feature = "axum", feature = "json", feature = "stripe")),
    diagnostic::on_unimplemented(
        message = "`{Self}` does not say what its event id is",
        label = "not a `WebhookEvent`",
        note = "name the id: `#[idempotent_webhook(event_id = EXPR)]`, any `AsRef<str>`",
        note = "or implement `ferro_idem::WebhookEvent` for a type of your own",
        note = "for `serde_json::Value`, `axum::Json<T>` and `StripeEvent`, turn on the features `json`, `axum` and \
                `stripe` of ferro-idem"
    )
)]
pub trait WebhookEvent {
    /// The sender's id of the event, the same in every delivery. `""` if it has none.
    fn event_id(&self) -> &str;

    /// The sender's name for the kind of event, if there is one. Logs record it, and no decision depends on
    /// it.
    fn event_type(&self) -> Option<&str> {
        None
    }
}

impl WebhookEvent for str {
    fn event_id(&self) -> &str {
        self
    }
}

impl WebhookEvent for String {
    fn event_id(&self) -> &str {
        self
    }
}

macro_rules! forward_to_target {
    ($($(#[$attribute:meta])* $pointer:ty),* $(,)?) => {$(
        $(#[$attribute])*
        impl<T: WebhookEvent + ?Sized> WebhookEvent for $pointer {
            fn event_id(&self) -> &str {
                (**self).event_id()
            }

            fn event_type(&self) -> Option<&str> {
                (**self).event_type()
            }
        }
    )*};
}

forward_to_target!(&T, &mut T, Box<T>, Rc<T>, Arc<T>);

impl<T: WebhookEvent + ToOwned + ?Sized> WebhookEvent for Cow<'_, T> {
    fn event_id(&self) -> &str {
        (**self).event_id()
    }

    fn event_type(&self) -> Option<&str> {
        (**self).event_type()
    }
}

/// Reads the strings at `"id"` and `"type"`.
///
/// If `"id"` is a number, the payload has no id here: write `event_id = event["id"].to_string()`.
///
/// ```
/// use ferro_idem::WebhookEvent;
///
/// let event = serde_json::json!({"id": "evt_1", "type": "invoice.paid"});
/// assert_eq!((event.event_id(), event.event_type()), ("evt_1", Some("invoice.paid")));
/// assert_eq!(serde_json::json!({"id": 7}).event_id(), "");
/// ```
#[cfg(feature = "json")]
impl WebhookEvent for serde_json::Value {
    fn event_id(&self) -> &str {
        self.get("id").and_then(Self::as_str).unwrap_or_default()
    }

    fn event_type(&self) -> Option<&str> {
        self.get("type").and_then(Self::as_str)
    }
}

/// An id that every log can keep, and the type if it is known.
///
/// The id is valid: not empty, without NUL, at most [`MAX_ID_BYTES`](Self::MAX_ID_BYTES) long. Ids are compared byte
/// for byte.
///
/// ```
/// use ferro_idem::EventRef;
///
/// let event = EventRef::new("evt_1")?.with_type("invoice.paid");
/// assert_eq!(event.id(), "evt_1");
/// assert!(EventRef::new("").is_err());
/// # Ok::<(), ferro_idem::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EventRef<'a> {
    id: &'a str,
    event_type: Option<&'a str>,
}

impl<'a> EventRef<'a> {
    /// The longest key, in bytes, the scope included.
    pub const MAX_ID_BYTES: usize = 255;

    /// An event whose type is not known. The example of [`EventRef`] calls it.
    ///
    /// # Errors
    ///
    /// [`InvalidEventId`] if the id is empty, holds NUL, or is too long.
    #[inline]
    pub fn new(id: &'a str) -> Result<Self, InvalidEventId> {
        // `min` reads every byte without a branch. For short ids this is cheaper than `contains`, which would be an
        // eighth of the cost of a mark in memory.
        if id.is_empty() {
            Err(InvalidEventId::Empty)
        } else if id.len() > Self::MAX_ID_BYTES {
            Err(InvalidEventId::TooLong { bytes: id.len() })
        } else if id.bytes().min() == Some(0) {
            Err(InvalidEventId::HoldsNul)
        } else {
            Ok(Self { id, event_type: None })
        }
    }

    /// The id and type of `event`.
    ///
    /// ```
    /// use ferro_idem::EventRef;
    ///
    /// assert_eq!(EventRef::of("evt_1")?.id(), "evt_1");
    /// # Ok::<(), ferro_idem::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidEventId`] if the id is empty, holds NUL, or is too long.
    #[inline]
    pub fn of<E: WebhookEvent + ?Sized>(event: &'a E) -> Result<Self, InvalidEventId> {
        Ok(Self::new(event.event_id())?.with_type(event.event_type()))
    }

    /// The same event with its type.
    #[must_use]
    #[inline]
    pub fn with_type(self, event_type: impl Into<Option<&'a str>>) -> Self {
        Self { event_type: event_type.into(), ..self }
    }

    /// The id, which is valid.
    #[inline]
    pub const fn id(&self) -> &'a str {
        self.id
    }

    /// The type, if it is known.
    #[inline]
    pub const fn event_type(&self) -> Option<&'a str> {
        self.event_type
    }

    /// The type as logs and spans record it: without NUL, and at most 255 bytes long. It is for people and decides
    /// nothing, so a type that a store would refuse is shortened instead of failing the delivery.
    #[cfg(any(feature = "_sql", feature = "inbox", feature = "redis", feature = "tracing"))]
    pub(crate) fn recorded_type(&self) -> Option<Cow<'a, str>> {
        const MAX_TYPE_BYTES: usize = 255;
        let event_type = self.event_type?;
        let cut = event_type.get(..event_type.floor_char_boundary(MAX_TYPE_BYTES)).unwrap_or_default();
        Some(if cut.contains('\0') { cut.replace('\0', "").into() } else { cut.into() })
    }
}

/// Why an id cannot be a key.
///
/// ```
/// use ferro_idem::{EventRef, InvalidEventId};
///
/// assert_eq!(EventRef::new(""), Err(InvalidEventId::Empty));
/// assert_eq!(EventRef::new("evt\0"), Err(InvalidEventId::HoldsNul));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidEventId {
    /// There is no id. Every other event without one would look like a duplicate of it.
    #[error("it has no id (empty, or no string where the id should be)")]
    Empty,
    /// `scope = EXPR` is empty. Every other caller without one would share its keys.
    #[error("its scope is empty")]
    NoScope,
    /// NUL ends a text in some databases, so two ids could become one.
    #[error("its id holds a NUL byte")]
    HoldsNul,
    /// The id is given as bytes, for example as a header value, and is not UTF-8.
    #[error("its id is not text (UTF-8)")]
    NotText,
    /// The key is longer than [`EventRef::MAX_ID_BYTES`], and some databases would cut it off.
    #[error("its key is {bytes} bytes long, more than {}", EventRef::MAX_ID_BYTES)]
    #[non_exhaustive]
    TooLong {
        /// Its length in bytes, the scope included.
        bytes: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_at_the_limit_is_taken_and_one_byte_more_is_not() {
        let limit = "x".repeat(EventRef::MAX_ID_BYTES);
        assert_eq!(EventRef::new(&limit).map(|event| event.id().len()), Ok(255));
        let over = format!("{limit}x");
        assert_eq!(EventRef::new(&over), Err(InvalidEventId::TooLong { bytes: 256 }));
    }

    #[test]
    fn the_limit_counts_bytes_not_characters() {
        let accents = "é".repeat(128);
        assert_eq!(EventRef::new(&accents), Err(InvalidEventId::TooLong { bytes: 256 }));
    }

    #[test]
    fn empty_and_nul_are_refused() {
        assert_eq!(EventRef::new(""), Err(InvalidEventId::Empty));
        assert_eq!(EventRef::new("evt\0_1"), Err(InvalidEventId::HoldsNul));
    }

    #[cfg(any(feature = "redis", feature = "sqlite", feature = "tracing"))]
    #[test]
    fn a_type_that_a_store_would_refuse_is_shortened() {
        let recorded =
            |kind: &str| EventRef::new("evt_1").unwrap().with_type(kind).recorded_type().map(Cow::into_owned);
        assert_eq!(recorded("invoice.paid").as_deref(), Some("invoice.paid"));
        assert_eq!(recorded("in\0voice").as_deref(), Some("invoice"));
        assert_eq!(recorded(&"é".repeat(200)), Some("é".repeat(127)));
        assert_eq!(EventRef::new("evt_1").unwrap().recorded_type(), None);
    }

    #[test]
    fn pointers_answer_for_what_they_point_to() {
        #[derive(Clone)]
        struct Typed;
        impl WebhookEvent for Typed {
            fn event_id(&self) -> &'static str {
                "evt_1"
            }
            fn event_type(&self) -> Option<&str> {
                Some("paid")
            }
        }
        fn ask(event: impl WebhookEvent) -> (String, Option<String>) {
            (event.event_id().to_owned(), event.event_type().map(str::to_owned))
        }
        let expected = ("evt_1".to_owned(), Some("paid".to_owned()));
        assert_eq!(ask(&Typed), expected);
        assert_eq!(ask(&mut Typed), expected);
        assert_eq!(ask(Box::new(Typed)), expected);
        assert_eq!(ask(Rc::new(Typed)), expected);
        assert_eq!(ask(Arc::new(Typed) as Arc<dyn WebhookEvent>), expected);
        assert_eq!(ask("evt_2"), ("evt_2".to_owned(), None));
        assert_eq!(ask("evt_2".to_owned()), ("evt_2".to_owned(), None));
        assert_eq!(ask(Cow::Borrowed("evt_2")).0, "evt_2");
        assert_eq!(ask(Cow::Borrowed(&Typed)), expected);
    }

    #[cfg(feature = "json")]
    #[test]
    fn json_without_a_string_id_has_no_id() {
        use serde_json::json;
        let event = json!({"id": "evt_1", "type": "paid"});
        assert_eq!(EventRef::of(&event), Ok(EventRef { id: "evt_1", event_type: Some("paid") }));
        assert_eq!(EventRef::of(&event).unwrap().event_type(), Some("paid"));
        for without in [json!({}), json!({"id": 7}), json!({"id": null}), json!([1]), json!("evt_1")] {
            assert_eq!(EventRef::of(&without), Err(InvalidEventId::Empty), "{without}");
        }
    }
}
