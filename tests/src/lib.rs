//! What the tests share: servers that are started for one test, a proxy that loses messages, logs that fail on demand,
//! futures that are dropped halfway, effects in a database, and a browser.

pub mod browser;
mod dropping;
mod effects;
mod keeping;
mod logs;
pub mod proxy;
pub mod senders;
pub mod servers;
mod waiting;

pub use dropping::DropCounter;
pub use effects::{create_effects, effects, effects_of, open_sqlite, write_effect};
/// A delivery whose client hangs up.
pub use ferro_idem::conformance::__drop_after_polls as drop_after_polls;
pub use keeping::{KeepingLog, KeepingTransaction};
pub use logs::{Broken, Stalled, broken};
pub use waiting::redeliver;

/// The examples in the README compile and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
