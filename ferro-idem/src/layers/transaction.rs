//! Mark and effects in one transaction of a layer.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use super::begin::{LIMIT, begin_session};
use super::error::LayerError;
use super::layer::{DatabaseLayer, Lends};
use super::log::LayerLog;
use super::statements::Statements;
use super::table::EventTable;
use crate::error::Error;
use crate::event::EventRef;
use crate::event_table::columns::SchemaLevel;
use crate::event_table::fault::Fault;
use crate::event_table::in_transaction::connection::Session;
use crate::event_table::in_transaction::open::{EventTransaction, Failed, TransactionTable};
use crate::event_table::in_transaction::steps::Compiled;
use crate::nesting::StoreId;
use crate::transaction::{Detached, MarkOutcome, TransactionalLog};

/// An open transaction of a [`LayerLog`]. It derefs to what the body gets. Dropping it rolls back.
pub struct LayerTransaction<L: DatabaseLayer>(EventTransaction<L::Session, EventTable>);

impl<S: Session<Error = LayerError>> TransactionTable<S> for EventTable {
    type Steps = Statements;

    const LIMIT: Option<Duration> = LIMIT;

    fn begin(&self) -> &'static str {
        self.engine.begin()
    }

    fn for_mark(&self) -> Result<Option<&Compiled<Statements>>, Error> {
        Ok(self.recent())
    }

    async fn look_for_mark<'t>(
        &'t self,
        session: &mut S,
    ) -> Result<(&'t Compiled<Statements>, bool), Failed<LayerError>> {
        Ok((self.look(session).await.map_err(Failed::Final)?, true))
    }

    async fn seen_by<'t>(
        &'t self,
        session: &mut S,
    ) -> Result<Option<&'t Compiled<Statements>>, Failed<LayerError>> {
        Ok(Some(self.look(session).await.map_err(Failed::Final)?))
    }

    fn compiled(&self, level: SchemaLevel) -> Option<&Compiled<Statements>> {
        self.compiled(level)
    }

    fn fault_of(&self, error: &LayerError) -> Fault {
        self.fault_of(error)
    }
}

/// A transaction that nobody ended: the handler panicked, or its client hung up.
impl<L: DatabaseLayer> Drop for LayerTransaction<L> {
    fn drop(&mut self) {
        if self.0.session().is_some()
            && let Ok(runtime) = Handle::try_current()
        {
            let open = self.0.take();
            runtime.spawn(async move { drop(open.roll_back().await) });
        }
    }
}

impl<L: DatabaseLayer> Deref for LayerTransaction<L> {
    type Target = <L::Session as Lends>::Target;

    fn deref(&self) -> &Self::Target {
        let Some(session) = self.0.session() else { unreachable!("only its end takes it") };
        session.target()
    }
}

impl<L: DatabaseLayer> DerefMut for LayerTransaction<L> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        let Some(session) = self.0.session_mut() else { unreachable!("only its end takes it") };
        session.target_mut()
    }
}

impl<L: DatabaseLayer> fmt::Debug for LayerTransaction<L> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("LayerTransaction")
            .field("layer", &L::NAME)
            .field("table", &self.0.table.name)
            .finish_non_exhaustive()
    }
}

impl<L: DatabaseLayer> TransactionalLog for LayerLog<L> {
    type Transaction = LayerTransaction<L>;

    fn begin(&self) -> Detached<LayerTransaction<L>> {
        let (layer, table) = (Arc::clone(&self.layer), Arc::clone(&self.table));
        Box::pin(async move {
            let session = begin_session(&layer, &table).await?;
            Ok(LayerTransaction(EventTransaction::new(session, table)))
        })
    }

    async fn try_mark_in(
        &self,
        transaction: &mut LayerTransaction<L>,
        event: EventRef<'_>,
    ) -> Result<MarkOutcome, Error> {
        transaction.0.try_mark(event).await
    }

    fn commit(mut transaction: LayerTransaction<L>) -> Detached<()> {
        Box::pin(transaction.0.take().commit())
    }

    fn rollback(mut transaction: LayerTransaction<L>) -> Detached<()> {
        Box::pin(transaction.0.take().roll_back())
    }

    fn store_id(&self) -> StoreId {
        StoreId::of(&*self.table)
    }
}
