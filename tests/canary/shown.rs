//! Searches outputs for the canary.

use std::error::Error as StdError;
use std::io::Write;
use std::iter::successors;
use std::sync::{LazyLock, Mutex, PoisonError};

use axum::response::IntoResponse;
use ferro_idem::Error;
use ferro_idem::stripe::{StripeEvent, StripeWebhook};

/// The text in every secret and payload of these tests.
pub(crate) const CANARY: &str = "c4n4ry";

/// The canary as text, as the bytes of a `Debug`, in hex, and in base64.
const SONGS: [&str; 4] = [CANARY, "99, 52, 110, 52, 114, 121", "63346e347279", "YzRuNHJ5"];

/// # Panics
///
/// If `text` holds the canary.
pub(crate) fn assert_silent(who: &str, text: &str) {
    for song in SONGS {
        assert!(!text.contains(song), "{who} holds the canary: {text}");
    }
}

/// Looks through an error, its sources, and the reply that it becomes.
pub(crate) async fn assert_error_is_silent(who: &str, error: Error) {
    assert_silent(who, &all_of(&error));
    assert_silent(who, &reply(error).await);
}

/// Everything that can be printed of an error and its sources.
pub(crate) fn all_of(error: &(dyn StdError + 'static)) -> String {
    successors(Some(error), |&error| error.source())
        .map(|error| format!("{error} {error:?} {error:#?}\n"))
        .collect::<Vec<_>>()
        .concat()
}

/// Everything in a reply.
pub(crate) async fn reply(reply: impl IntoResponse) -> String {
    let (parts, body) = reply.into_response().into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    format!("{parts:?} {}", String::from_utf8_lossy(&body))
}

/// An event whose object holds the canary, as it comes from the wire.
pub(crate) fn event(id: &str) -> StripeEvent {
    let webhook = StripeWebhook::new(format!("whsec_{CANARY}"));
    let payload = payload(id);
    let header = webhook.sign(payload.as_bytes(), std::time::SystemTime::now()).unwrap();
    webhook.verify(payload.as_bytes(), &header).unwrap()
}

pub(crate) fn payload(id: &str) -> String {
    format!(
        r#"{{"id":"{id}","object":"event","type":"invoice.paid","context":"{CANARY}","note":"{CANARY}",
            "data":{{"object":{{"note":"{CANARY}","amount":"{CANARY}"}}}}}}"#
    )
}

/// What this process tells `tracing`, at TRACE, from every thread: SQLite's statements run on others than
/// the test's.
static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Lines;

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LINES.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Records all traces from now on.
pub(crate) fn listen() {
    static LISTENING: LazyLock<()> = LazyLock::new(|| {
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
            .with_ansi(false)
            .with_writer(|| Lines)
            .init();
    });
    LazyLock::force(&LISTENING);
}

/// Searches all recorded traces.
///
/// # Panics
///
/// If a trace holds the canary, or if none holds one of `words`, because then no traces were recorded.
pub(crate) fn assert_traces_are_silent(words: &[&str]) {
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let lines = String::from_utf8(lines).unwrap();
    for word in words {
        assert!(lines.contains(word), "{word:?} is not in:\n{lines}");
    }
    for line in lines.lines() {
        assert_silent("a trace", line);
    }
}
