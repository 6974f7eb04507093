//! The same handlers twice: `plain` and, under the attribute, `fenced`. A test compares what clippy
//! says of each.

#![forbid(unsafe_code)]
// A handler that ends in `return` is one of the cases.
#![allow(clippy::needless_return)]

pub mod fenced;
pub mod plain;
