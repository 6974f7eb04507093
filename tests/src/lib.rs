//! What the tests share: logs that misbehave on demand, and futures that are dropped half-way.

mod dropping;
mod logs;
mod waiting;

pub use dropping::{DropCounter, drop_after_polls};
pub use logs::{Broken, Stalled, broken};
pub use waiting::redeliver;

/// The examples in the README compile and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
