//! Finds handlers that share keys by mistake: one of them runs, and the deliveries of the other are answered
//! as duplicates.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::nesting::{EventPrint, Handler};

/// How many events are remembered. If two handlers get the same event, they get it within a short time.
const MAX_EVENTS: usize = 1_024;

#[derive(Default)]
struct Recent {
    /// The handler that ran for an event.
    handlers: HashMap<EventPrint, Handler>,
    oldest_first: VecDeque<EventPrint>,
    reported: HashSet<(Handler, Handler)>,
}

static RECENT: Mutex<Option<Recent>> = Mutex::new(None);

fn recent() -> MutexGuard<'static, Option<Recent>> {
    RECENT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Records that the handler runs for this event.
pub(crate) fn remember(event: EventPrint, handler: Handler) {
    if !event.is_known() {
        return;
    }
    let mut recent = recent();
    let recent = recent.get_or_insert_default();
    if recent.handlers.insert(event, handler).is_none() {
        recent.oldest_first.push_back(event);
        if recent.oldest_first.len() > MAX_EVENTS
            && let Some(oldest) = recent.oldest_first.pop_front()
        {
            recent.handlers.remove(&oldest);
        }
    }
}

/// The other handler that ran for this event, if there is one. Each pair is reported once.
pub(crate) fn other_handler(event: EventPrint, handler: Handler) -> Option<Handler> {
    let mut recent = recent();
    let recent = recent.get_or_insert_default();
    let other = *recent.handlers.get(&event)?;
    let pair = (other.min(handler), other.max(handler));
    (other != handler && recent.reported.insert(pair)).then_some(other)
}
