//! Handlers that are called by handlers, for the same event and log.
//!
//! The inner one can never run: the outer one holds the event. Its fence would be a silent duplicate, its claim
//! "in progress" at every delivery, and a mark beside the outer one's transaction may wait for that transaction. So it
//! is an error, before the log is asked.

use std::cell::RefCell;
use std::num::NonZeroU64;
use std::panic::Location;

use crate::error::Error;

/// Which store a log writes to, as far as this process can tell. Clones of a log have the same one.
///
/// Only used to say what is wrong. It is not part of a log's promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreId(Option<usize>);

impl StoreId {
    /// By the address of what the clones of a log share.
    pub fn of<T: ?Sized>(shared: &T) -> Self {
        // Values without a size share their addresses.
        let has_address = size_of_val(shared) > 0;
        Self(has_address.then(|| std::ptr::from_ref(shared).cast::<()>() as usize))
    }
}

/// Where the handler's attribute, or the log that it names, is written.
pub(crate) type Handler = &'static Location<'static>;

/// Of a store and a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EventPrint(NonZeroU64);

impl EventPrint {
    /// The store cannot be told from others.
    const UNKNOWN: Self = Self(NonZeroU64::MIN);

    pub(crate) fn is_known(self) -> bool {
        self != Self::UNKNOWN
    }
}

/// A handler that holds an event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    pub(crate) event: EventPrint,
    pub(crate) handler: Handler,
}

thread_local! {
    /// The handlers whose bodies this thread is polling, the innermost one last.
    static POLLED: RefCell<Vec<Frame>> = const { RefCell::new(Vec::new()) };
}

impl Frame {
    /// Whether the handler may ask for this event.
    pub(crate) fn new(store: StoreId, key: &str, handler: Handler) -> Result<Self, Error> {
        let event = store.0.map_or(EventPrint::UNKNOWN, |store| fingerprint(store, key));
        let outer = POLLED.with_borrow(|polled| {
            polled.iter().find(|outer| outer.event.is_known() && outer.event == event).copied()
        });
        match outer {
            Some(Self { handler: outer, .. }) => {
                Err(Error::Nested { event_id: key.to_owned(), outer, inner: handler })
            }
            None => Ok(Self { event, handler }),
        }
    }

    /// Of no handler.
    #[track_caller]
    pub(crate) fn outside() -> Self {
        Self { event: EventPrint::UNKNOWN, handler: Location::caller() }
    }

    /// Polls the handler's body.
    pub(crate) fn enter<T>(self, poll: impl FnOnce() -> T) -> T {
        leave_after(|| {
            self.begin();
            poll()
        })
    }

    /// From here on, until the [`leave_after`] around this call, the handler is being polled.
    pub(crate) fn begin(self) {
        POLLED.with_borrow_mut(|polled| polled.push(self));
    }
}

/// Polls, and forgets which handlers began meanwhile, in a panic too.
#[inline]
pub(crate) fn leave_after<T>(poll: impl FnOnce() -> T) -> T {
    let _leave = Leave::default();
    poll()
}

/// Forgets the handlers that began since it was made, when it is dropped.
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

/// Two events that share one would be taken for one event, with a probability of 2^-64.
fn fingerprint(store: usize, key: &str) -> EventPrint {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let fold = |hash: u64, word: u64| (hash ^ word).wrapping_mul(FACTOR).rotate_left(29);
    let (words, rest) = key.as_bytes().as_chunks::<8>();
    let mut last = [0; 8];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    let start = fold(store as u64, key.len() as u64);
    let hash = words.iter().fold(start, |hash, word| fold(hash, u64::from_le_bytes(*word)));
    let print = fold(hash, u64::from_le_bytes(last)) ^ (hash >> 31);
    NonZeroU64::new(print).map_or(EventPrint::UNKNOWN, EventPrint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_event_of_the_same_store_is_refused_inside_and_no_other() {
        let (one, other) = (StoreId::of(&1_u8), StoreId(Some(1)));
        let outer = Frame::new(one, "evt_1", Location::caller()).unwrap();
        outer.enter(|| {
            let error = Frame::new(one, "evt_1", Location::caller()).unwrap_err();
            assert!(matches!(error, Error::Nested { .. }), "{error:?}");
            assert!(Frame::new(one, "evt_2", Location::caller()).is_ok());
            assert!(Frame::new(one, "billing:evt_1", Location::caller()).is_ok());
            assert!(Frame::new(other, "evt_1", Location::caller()).is_ok());
            Frame::new(one, "evt_2", Location::caller()).unwrap().enter(|| {
                assert!(
                    Frame::new(one, "evt_1", Location::caller()).is_err(),
                    "not only the one around it counts"
                );
            });
            assert!(Frame::new(StoreId::of(&()), "evt_1", Location::caller()).is_ok(), "no store is known");
        });
        assert!(Frame::new(one, "evt_1", Location::caller()).is_ok());
    }

    #[test]
    fn a_body_that_panics_holds_nothing() {
        let store = StoreId(Some(1));
        let outer = Frame::new(store, "evt_1", Location::caller()).unwrap();
        let panics = std::panic::AssertUnwindSafe(|| outer.enter(|| panic!("in the body")));
        assert!(std::panic::catch_unwind(panics).is_err());
        assert!(Frame::new(store, "evt_1", Location::caller()).is_ok());
    }
}
