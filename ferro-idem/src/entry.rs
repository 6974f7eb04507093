//! The decision of a guarantee about a delivery, before the body runs.

use crate::error::Error;

/// The decision of a guarantee. `G` is what the body runs under: `()` for a fence, a guard for a claim, an
/// open transaction.
#[derive(Debug)]
pub enum Entry<G> {
    /// Run the body.
    Run(G),
    /// Answer as a duplicate.
    Duplicate,
    /// The guarantee cannot be given, so the body must not run.
    Failed(Error),
}
