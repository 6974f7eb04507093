//! The same handlers twice: `plain` and, under the attribute, `fenced`. A test compares what clippy
//! says of each.

#![forbid(unsafe_code)]

pub mod fenced;
pub mod plain;
