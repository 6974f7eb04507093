//! Ids that stores may confuse, shorten or refuse.

use crate::event::EventRef;

/// Ids that are equal under some collation, numeric affinity, pattern or normal form.
pub(super) const NEAR_EQUAL: [&str; 26] = [
    "evt_a",
    "EVT_A",
    "evt_A",
    "evt_a ",
    "evt_a  ",
    " evt_a",
    "evt_a\t",
    "evt_a\n",
    "evt_\u{e0}",
    "evt_a\u{300}",
    "evt_a\u{200b}",
    "evt_\u{df}",
    "evt_ss",
    "evt_1",
    "evt_01",
    "1",
    "01",
    "1.0",
    "1e0",
    "null",
    "true",
    "\u{1f4b8}",
    "\u{1f4b0}",
    "%",
    "_",
    "*",
];

/// The shortest and the longest valid ids. The last three have the full length and differ in the last byte.
pub(super) fn at_the_limits() -> Vec<String> {
    let most = EventRef::MAX_ID_BYTES;
    let wide = "\u{e9}".repeat(most / 2) + "x";
    let long = |last: &str| "x".repeat(most - 1) + last;
    vec!["x".into(), "x".repeat(30), "x".repeat(31), long("").clone(), wide, long("x"), long("y"), long(" ")]
}

/// Ids that every log refuses: an empty id, ids with NUL, and an id that is a byte too long.
pub(super) fn refused() -> [String; 5] {
    let over = EventRef::MAX_ID_BYTES + 1;
    [String::new(), "\0".into(), "evt\0".into(), "x".repeat(over), "\u{e9}".repeat(over / 2)]
}

/// Text that could be read as part of a statement, a script or a pattern.
pub(super) const HOSTILE: [&str; 6] = [
    "'); DROP TABLE stripe_processed_events; --",
    "\"; DELETE FROM stripe_processed_events; \"",
    "$1",
    "?",
    "{evt}:\\",
    "\r\nFLUSHALL\r\n",
];
