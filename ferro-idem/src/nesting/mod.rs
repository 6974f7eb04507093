//! Refuses a handler that is called by another handler for the same event and log.
//!
//! The inner handler can never run, because the outer handler holds the event. The fence of the inner handler
//! would silently answer as a duplicate, its claim would be in progress at every delivery, and its mark could
//! wait for the transaction of the outer handler. So it gets an error before the log is called.
//!
//! A body under a claim or a transaction is polled by this crate, so [`POLLED`] knows which handlers are around
//! a call. A fenced body is a part of the user's function. While it runs, it is in [`running_fences`] together with
//! its task. A handler inside it gets the error when the log has answered that the event is a duplicate.

mod running_fences;

use std::cell::RefCell;
use std::fmt;
use std::hash::BuildHasher;
use std::num::NonZeroU64;

use foldhash::quality::FixedState;

pub(crate) use self::running_fences::FencedBody;
use crate::error::Error;

/// Identifies the store of a log within this process. Clones of a log have the same id, and so have logs over one
/// table in one pool.
///
/// It is only used for diagnostics, and is not part of a log's promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreId(Option<usize>);

impl StoreId {
    /// Uses the address of a value that the clones of a log share.
    pub fn of<T: ?Sized>(shared: &T) -> Self {
        // Zero-sized values share their addresses.
        let has_address = size_of_val(shared) > 0;
        Self(has_address.then(|| std::ptr::from_ref(shared).cast::<()>() as usize))
    }

    /// A part of a store: a table.
    #[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
    #[expect(clippy::cast_possible_truncation, reason = "any bits of a hash will do")]
    pub(crate) fn part(self, name: &str) -> Self {
        Self(self.0.map(|store| FixedState::default().hash_one((store, name)) as usize))
    }
}

/// An annotated handler.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Site {
    /// The module's path, and the function.
    pub name: &'static str,
    /// Two methods of one module may have the same name.
    pub line: u32,
}

impl Site {
    /// The two names. Methods of two types may have the same one, so these have their lines after it.
    #[cfg(feature = "tracing")]
    pub(crate) fn told_apart(&self, other: &Self) -> (String, String) {
        let named = |site: &Self| {
            if self.name == other.name { format!("{site} (line {})", site.line) } else { site.to_string() }
        };
        (named(self), named(other))
    }
}

impl fmt::Display for Site {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name)
    }
}

/// One word, because a handler's future holds it.
pub(crate) type Handler = &'static Site;

/// A hash of a store and a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct EventPrint(NonZeroU64);

impl EventPrint {
    /// The store cannot be distinguished from others.
    const UNKNOWN: Self = Self(NonZeroU64::MIN);

    pub(crate) fn is_known(self) -> bool {
        self != Self::UNKNOWN
    }
}

/// A handler that holds an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    pub(crate) event: EventPrint,
    pub(crate) handler: Handler,
}

thread_local! {
    /// The handlers whose bodies this thread is polling, the innermost one last.
    static POLLED: RefCell<Vec<Frame>> = const { RefCell::new(Vec::new()) };
}

impl Frame {
    /// Refuses the event if a handler around this call holds it.
    pub(crate) fn new(store: StoreId, key: &str, handler: Handler) -> Result<Self, Error> {
        let event = store.0.map_or(EventPrint::UNKNOWN, |store| fingerprint(store, key));
        let frame = Self { event, handler };
        if !event.is_known() {
            return Ok(frame);
        }
        let polled = POLLED.with_borrow(|polled| {
            polled.iter().find(|outer| outer.event == event).map(|outer| outer.handler)
        });
        match polled {
            Some(outer) => Err(frame.nested_in(outer, key)),
            None => Ok(frame),
        }
    }

    /// Refuses a duplicate if a fenced body in the same task holds its event.
    pub(crate) fn refuse_nested_duplicate(self, key: &str) -> Result<(), Error> {
        match running_fences::other_handler(self) {
            Some(outer) if self.event.is_known() => Err(self.nested_in(outer, key)),
            _ => Ok(()),
        }
    }

    fn nested_in(self, outer: Handler, key: &str) -> Error {
        Error::Nested { event_id: key.to_owned(), outer: outer.name, inner: self.handler.name }
    }

    /// The frame of a claim that was made for a test.
    pub(crate) fn outside() -> Self {
        Self { event: EventPrint::UNKNOWN, handler: &Site { name: "a test", line: 0 } }
    }

    /// Polls the handler's body.
    pub(crate) fn enter<T>(self, poll: impl FnOnce() -> T) -> T {
        leave_after(|| {
            self.begin();
            poll()
        })
    }

    /// Marks the handler as being polled, until the [`leave_after`] around this call returns.
    pub(crate) fn begin(self) {
        POLLED.with_borrow_mut(|polled| polled.push(self));
    }
}

/// How many handlers this thread is polling inside each other.
#[cfg(feature = "inbox")]
pub(crate) fn depth() -> usize {
    POLLED.with_borrow(Vec::len)
}

/// Polls, and afterwards forgets the handlers that began meanwhile, also after a panic.
#[inline]
pub(crate) fn leave_after<T>(poll: impl FnOnce() -> T) -> T {
    let _leave = Leave::default();
    poll()
}

/// When it is dropped, forgets the handlers that began after it was made.
pub(crate) struct Leave(usize);

impl Default for Leave {
    #[inline]
    fn default() -> Self {
        Self(POLLED.with_borrow(Vec::len))
    }
}

impl Drop for Leave {
    #[inline]
    fn drop(&mut self) {
        POLLED.with_borrow_mut(|polled| polled.truncate(self.0));
    }
}

/// Two events share a fingerprint with a probability of 2^-64. The inner of two nested handlers would then be
/// refused.
fn fingerprint(store: usize, key: &str) -> EventPrint {
    // A fast hasher, because every delivery makes a fingerprint.
    NonZeroU64::new(FixedState::default().hash_one((store, key))).map_or(EventPrint::UNKNOWN, EventPrint)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SITE: Handler = &Site { name: "shop::ship", line: 1 };

    #[test]
    fn only_the_same_event_of_the_same_store_is_nested() {
        let (one, other) = (StoreId::of(&1_u8), StoreId(Some(1)));
        let outer = Frame::new(one, "evt_1", SITE).unwrap();
        outer.enter(|| {
            let error = Frame::new(one, "evt_1", SITE).unwrap_err();
            assert!(matches!(error, Error::Nested { .. }), "{error:?}");
            assert!(Frame::new(one, "evt_2", SITE).is_ok());
            assert!(Frame::new(one, "billing:evt_1", SITE).is_ok());
            assert!(Frame::new(other, "evt_1", SITE).is_ok());
            Frame::new(one, "evt_2", SITE).unwrap().enter(|| {
                assert!(Frame::new(one, "evt_1", SITE).is_err(), "not only the one around it counts");
            });
            assert!(Frame::new(StoreId::of(&()), "evt_1", SITE).is_ok(), "no store is known");
        });
        assert!(Frame::new(one, "evt_1", SITE).is_ok());
    }

    #[test]
    fn a_body_that_panics_holds_nothing() {
        let store = StoreId(Some(1));
        let outer = Frame::new(store, "evt_1", SITE).unwrap();
        let panics = std::panic::AssertUnwindSafe(|| outer.enter(|| panic!("in the body")));
        assert!(std::panic::catch_unwind(panics).is_err());
        assert!(Frame::new(store, "evt_1", SITE).is_ok());
    }
}
