//! Deliveries of every sender: signed by the senders' own libraries, and over an axum router.

mod bad_input;
mod official;
mod over_axum;
