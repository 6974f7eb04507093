//! Tells a layer around a handler that its reply is a replayed one.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

thread_local! {
    /// Set while a watched handler is polled.
    static WATCH: RefCell<Option<Arc<AtomicBool>>> = const { RefCell::new(None) };
}

/// Puts the outer watch back, also after a panic.
struct Restore(Option<Arc<AtomicBool>>);

impl Drop for Restore {
    fn drop(&mut self) {
        WATCH.set(self.0.take());
    }
}

/// A kept reply was made again on this thread.
pub(super) fn note() {
    WATCH.with_borrow(|watch| {
        if let Some(replayed) = watch {
            replayed.store(true, Ordering::Relaxed);
        }
    });
}

/// Runs a handler. Returns its reply, and whether that was replayed.
pub(crate) async fn watch<F: Future>(handler: F) -> (F::Output, bool) {
    let replayed = Arc::new(AtomicBool::new(false));
    let mut handler = pin!(handler);
    let output = poll_fn(|context| {
        let _restore = Restore(WATCH.replace(Some(Arc::clone(&replayed))));
        handler.as_mut().poll(context)
    })
    .await;
    (output, replayed.load(Ordering::Relaxed))
}
