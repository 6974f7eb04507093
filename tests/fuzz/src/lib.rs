//! The properties that hold for every input: a `check` for each fuzz target.
//!
//! This file is part of two crates: the library of the fuzz targets, and the test `corpora` of
//! `ferro-idem-tests`, which runs the committed corpora through the same checks without a fuzzer.

pub mod event_envelope;
pub mod macro_arguments;
pub mod replay;
pub mod sender_delivery;
pub mod signature_header;
pub mod slack_handshake;
mod written;

#[cfg(test)]
mod corpora;

// What the tests know of each sender.
#[path = "../../src/senders/mod.rs"]
pub mod senders;

// A macro crate exports only the macro, which runs only in the compiler. So its sources are included here,
// under the same module names.
#[path = "../../../ferro-idem-macros/src/args.rs"]
mod args;
#[path = "../../../ferro-idem-macros/src/errors.rs"]
mod errors;
#[path = "../../../ferro-idem-macros/src/expand/mod.rs"]
mod expand;
#[path = "../../../ferro-idem-macros/src/handler/mod.rs"]
mod handler;
#[path = "../../../ferro-idem-macros/src/stages.rs"]
mod stages;
#[path = "../../../ferro-idem-macros/src/suggest.rs"]
mod suggest;
#[path = "../../../ferro-idem-macros/src/validate.rs"]
mod validate;
