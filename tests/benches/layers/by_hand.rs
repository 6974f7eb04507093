//! The table and the statements by hand.

/// The tables beside the log's own.
pub(crate) const TABLES: [&str; 3] = [
    "CREATE TABLE by_hand (
       event_id VARCHAR(255) NOT NULL PRIMARY KEY, event_type VARCHAR(255) NOT NULL,
       received_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)",
    "CREATE TABLE effects (event_id VARCHAR(255) NOT NULL)",
    "CREATE TABLE effects_by_hand (event_id VARCHAR(255) NOT NULL)",
];

/// With `$1`, and with `?`.
pub(crate) const MARK: [&str; 2] = [
    "INSERT INTO by_hand (event_id, event_type) VALUES ($1, '') ON CONFLICT (event_id) DO NOTHING",
    "INSERT INTO by_hand (event_id, event_type) VALUES (?, '')",
];

pub(crate) const EFFECT: [&str; 2] =
    ["INSERT INTO effects (event_id) VALUES ($1)", "INSERT INTO effects (event_id) VALUES (?)"];

pub(crate) const EFFECT_BY_HAND: [&str; 2] = [
    "INSERT INTO effects_by_hand (event_id) VALUES ($1)",
    "INSERT INTO effects_by_hand (event_id) VALUES (?)",
];
