//! Each layer under the conformance kit.

use std::ops::DerefMut;

use ferro_idem::conformance::Store;
use ferro_idem::{Error, TransactionalLog};

use crate::databases::Database;

/// A log over a layer.
pub(crate) trait Layered: Send + Sync + 'static {
    type Database: Database;

    /// What a body gets.
    type Lent: Send;

    type Log: TransactionalLog<Transaction: DerefMut<Target = Self::Lent>> + Clone + 'static;

    /// Whether a connection that is read-only is closed.
    const CLOSES: bool = true;

    /// With a pool of its own, of so many connections.
    fn open(url: &str, connections: u32) -> impl Future<Output = Self::Log> + Send;

    /// The log's own check of its table.
    fn check(log: &Self::Log) -> impl Future<Output = Result<(), Error>> + Send;

    /// Runs a statement as a body does.
    fn run(lent: &mut Self::Lent, sql: &str) -> impl Future<Output = Result<(), String>> + Send;

    /// Writes an effect with the layer's own means: an entity, a DSL, parameters.
    fn write(lent: &mut Self::Lent, event_id: &str) -> impl Future<Output = Result<(), String>> + Send;
}

/// A fresh database, for the kit.
pub(crate) struct Handles<L: Layered>(L::Database);

impl<L: Layered> Handles<L> {
    pub(crate) async fn fresh() -> Self {
        Self(L::Database::fresh().await)
    }
}

impl<L: Layered> Store for Handles<L> {
    type Log = L::Log;

    async fn open(&self) -> L::Log {
        L::open(self.0.url(), 4).await
    }

    async fn write_effect(&self, lent: &mut L::Lent, event_id: &str) {
        L::write(lent, event_id).await.unwrap();
    }

    async fn effects(&self, _: &L::Log, event_id: &str) -> Option<u64> {
        Some(self.0.effects(event_id).await.unsigned_abs())
    }

    async fn roll_back_from_within(&self, lent: &mut L::Lent) -> bool {
        L::run(lent, "ROLLBACK").await.unwrap();
        true
    }
}
