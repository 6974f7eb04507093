//! The transaction: effects that are written through it happen exactly once.

#[allow(missing_debug_implementations)]
mod open;

use std::future::Future;
use std::ops::DerefMut;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::event::EventRef;
use crate::nesting::StoreId;

#[cfg(feature = "replay")]
pub(crate) use self::open::{Begun, begin_marked};
pub use self::open::{OpenTransaction, begin, run_in_transaction, settle_transaction};

/// A future that borrows nothing, so that it can finish in the background after its caller is gone.
pub type Detached<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

/// A log in a transactional database: the mark and the body's effects are committed together.
///
/// # The promise
///
/// What the body writes through the transaction happens exactly once, whatever crashes. Before the commit
/// neither the mark nor the effects exist, and after it both do. Effects elsewhere (mail, other databases,
/// HTTP) are not part of it.
///
/// A commit that was applied and reported as failed leads to a duplicate at the next delivery, never
/// to a second effect.
///
/// A database can roll a transaction back by itself: after a deadlock, if the disk is full, and in PostgreSQL
/// after any statement that fails. If a body ignores that error and reports success, there is nothing left to
/// commit. Therefore [`commit`](Self::commit) checks that the mark still exists. If it does not, it returns
/// an error, so that the sender delivers again.
///
/// # Cancel safety
///
/// [`begin`](Self::begin) and [`commit`](Self::commit) return futures that borrow nothing:
/// `#[idempotent_webhook(transaction(tx))]` finishes them in the background if the delivery is dropped. A
/// transaction that is dropped is rolled back.
///
/// # What the attribute does with it
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use ferro_idem::{EventRef, MarkOutcome, SqliteLog, TransactionalLog};
///
/// # let file = std::env::temp_dir().join(format!("ferro-idem-transaction-{}.db", std::process::id()));
/// let log = SqliteLog::open(&file).await?;
/// # sqlx::query("CREATE TABLE payments (event_id TEXT)").execute(log.pool()).await?;
/// let mut tx = log.begin().await?;
/// match log.try_mark_in(&mut tx, EventRef::new("evt_1")?).await? {
///     MarkOutcome::First => {
///         // The body: `tx` derefs to the connection.
///         sqlx::query("INSERT INTO payments VALUES ('evt_1')").execute(&mut *tx).await?;
///         SqliteLog::commit(tx).await?;
///     }
///     MarkOutcome::Processed | MarkOutcome::InProgress { .. } => SqliteLog::rollback(tx).await?,
/// }
/// # log.pool().close().await;
/// # std::fs::remove_file(&file)?;
/// # Ok(()) }
/// # #[cfg(not(feature = "sqlite"))] fn main() {}
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no transactions",
    label = "not a `TransactionalLog`",
    note = "the logs that have them are `SqliteLog`, `PostgresLog` and `MySqlLog`; with another database layer \
            `SeaOrmLog`, `DieselPostgresLog`, `DieselMySqlLog` and `TokioPostgresLog`; or implement \
            `ferro_idem::TransactionalLog` for `{Self}`",
    note = "if the effects are in other systems, use `claim`; for at most once, leave the argument out"
)]
pub trait TransactionalLog: Send + Sync {
    /// An open transaction. The body gets `&mut` to its target, so that it can neither commit nor roll back
    /// by accident. Dropping the transaction rolls it back.
    type Transaction: DerefMut + Send + 'static;

    /// Opens a transaction.
    fn begin(&self) -> Detached<Self::Transaction>;

    /// Marks the event inside the transaction. Call this before any other statement: if the database refuses
    /// the mark for a passing reason, a log may begin the transaction again, and what was written before is
    /// lost.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if the store does not answer. The body must not run then.
    fn try_mark_in(
        &self,
        transaction: &mut Self::Transaction,
        event: EventRef<'_>,
    ) -> impl Future<Output = Result<MarkOutcome, Error>> + Send;

    /// Commits the mark and the effects. An implementation must not report success if the mark is no longer
    /// in the transaction.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if nothing was committed, or if that is unknown.
    fn commit(transaction: Self::Transaction) -> Detached<()>;

    /// Rolls the mark and the effects back.
    fn rollback(transaction: Self::Transaction) -> Detached<()>;

    /// Not part of the contract. It identifies the store, so that a handler that calls another handler for
    /// the same event gets [`Error::Nested`].
    #[doc(hidden)]
    fn store_id(&self) -> StoreId {
        StoreId::of(self)
    }
}

/// The source of an error: what a transaction was to keep together is not together.
///
/// Private, so that only the logs of this crate report it.
#[derive(Debug, thiserror::Error)]
#[error("the body ended its transaction itself")]
pub(crate) struct CommittedEarly;

impl CommittedEarly {
    fn is_source_of(error: &Error) -> bool {
        std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<Self>)
    }
}

/// The result of a mark inside a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkOutcome {
    /// The event is new: run the effects in this transaction.
    First,
    /// Another delivery has the event, in an open transaction or under a claim.
    InProgress {
        /// When to deliver again.
        retry_after: Duration,
    },
    /// The event was processed before.
    Processed,
}

macro_rules! forward_to_target {
    ($($pointer:ty),*) => {$(
        impl<L: TransactionalLog + ?Sized> TransactionalLog for $pointer {
            type Transaction = L::Transaction;

            fn begin(&self) -> Detached<Self::Transaction> {
                (**self).begin()
            }

            fn try_mark_in(
                &self,
                transaction: &mut Self::Transaction,
                event: EventRef<'_>,
            ) -> impl Future<Output = Result<MarkOutcome, Error>> + Send {
                (**self).try_mark_in(transaction, event)
            }

            fn commit(transaction: Self::Transaction) -> Detached<()> {
                L::commit(transaction)
            }

            fn rollback(transaction: Self::Transaction) -> Detached<()> {
                L::rollback(transaction)
            }

            fn store_id(&self) -> StoreId {
                (**self).store_id()
            }
        }
    )*};
}

forward_to_target!(&L, &mut L, Box<L>, Arc<L>);
