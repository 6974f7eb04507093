//! The behaviour of handlers under `#[idempotent_webhook]`, tested through the attribute.
//!
//! A test named `row_NN_..` is a row of the checklist in docs/testing.md.

mod arguments;
mod body;
mod collisions;
mod event_ids;
mod filtering;
mod futures;
mod generated_bodies;
mod held_replies;
mod hygiene;
mod replay;
mod replies;
mod settling_body;
mod settling_generated;
mod settling_hygiene;
mod settling_replies;
mod settling_signature;
mod settling_together;
mod signature;
mod sqlite;
mod temporaries;
mod together;
