//! What a database layer has to do for a transaction.

use std::future::Future;
use std::time::Duration;

use super::engine::Engine;
use super::error::LayerError;
use crate::event_table::in_transaction::connection::Session;

/// A layer that a [`LayerLog`](crate::LayerLog) can be kept over.
///
/// Use it as a bound if your own code is generic over the layer. The trait is sealed: only this crate implements it.
pub trait DatabaseLayer: Layer {}

impl<L: Layer> DatabaseLayer for L {}

/// The part that differs between layers. Private: users see [`DatabaseLayer`].
#[allow(missing_docs)]
pub trait Layer: Send + Sync + 'static {
    /// For the `Debug` output.
    const NAME: &'static str;

    type Session: Lends;

    fn engine(&self) -> Engine;

    /// Takes a connection from the pool and begins a transaction, with what [`Engine::begin`] says. It waits for the
    /// connection for no longer than `limit`.
    ///
    /// If the future is dropped after its first poll, no connection with an open transaction may go back into the pool.
    /// The caller does not drop it: what takes too long is finished in the background.
    fn begin(
        &self,
        limit: Duration,
    ) -> impl Future<Output = Result<Self::Session, LayerError>> + Send + 'static;
}

/// A connection with an open transaction.
#[allow(missing_docs)]
pub trait Lends: Session<Error = LayerError> {
    /// What the body gets.
    type Target: Send;

    fn target(&self) -> &Self::Target;

    fn target_mut(&mut self) -> &mut Self::Target;
}
