//! What a handler under `#[idempotent_webhook]` does, through the attribute itself.
//!
//! A test named `row_NN_..` is a row of the checklist in DEVELOPMENT.md.

mod arguments;
mod body;
mod futures;
mod hygiene;
mod replies;
mod signature;
mod together;
