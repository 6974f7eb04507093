//! The transaction: effects written through it happen exactly once.

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

pub use self::open::OpenTransaction;
pub use self::open::begin;

/// A future that borrows nothing, so that it can be finished when its caller has gone.
pub type Detached<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

/// A log in a transactional database: the mark and the body's effects are committed together.
///
/// # The promise
///
/// What the body writes through the transaction is there exactly once, whatever crashes: before the
/// commit neither mark nor effects exist, after it both do. Effects elsewhere (mail, other
/// databases, HTTP) are not part of it.
///
/// A commit that was applied and reported as failed leads to a duplicate at the next delivery, never
/// to a second effect.
///
/// A database can roll a transaction back by itself: a deadlock, a full disk, in PostgreSQL any
/// statement that fails. If a body ignores that error and reports success, nothing of it is left to commit.
/// [`commit`](Self::commit) therefore checks that the mark still exists, and is an error if it does not, so that the
/// sender delivers again.
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
    note = "the logs that have them are `SqliteLog`, `PostgresLog` and `MySqlLog`, or implement \
            `ferro_idem::TransactionalLog` for `{Self}`",
    note = "where effects are in other systems, use `claim`; for at most once, leave the argument out"
)]
pub trait TransactionalLog: Send + Sync {
    /// An open transaction. The body gets `&mut` what it derefs to, and can neither commit nor roll
    /// back by accident. Dropping it rolls back.
    type Transaction: DerefMut + Send + 'static;

    /// Opens a transaction.
    fn begin(&self) -> Detached<Self::Transaction>;

    /// Marks the event inside the transaction. Mark first: a log may begin the transaction again where its
    /// database refuses the mark for a reason that passes, and what was written before is then gone.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when the store cannot be asked: the body must not run.
    fn try_mark_in(
        &self,
        transaction: &mut Self::Transaction,
        event: EventRef<'_>,
    ) -> impl Future<Output = Result<MarkOutcome, Error>> + Send;

    /// Commits mark and effects. An implementation must not report success where the mark is no longer
    /// in the transaction.
    ///
    /// # Errors
    ///
    /// [`Error::Store`]: nothing was committed, or whether it was is unknown.
    fn commit(transaction: Self::Transaction) -> Detached<()>;

    /// Takes mark and effects back.
    fn rollback(transaction: Self::Transaction) -> Detached<()>;

    /// Not part of the contract: by this, a handler inside a handler is told that the log is the same.
    #[doc(hidden)]
    fn store_id(&self) -> StoreId {
        StoreId::of(self)
    }
}

/// What a mark inside a transaction came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkOutcome {
    /// Run the effects in this transaction.
    First,
    /// Another delivery has the event: its transaction is open, or it claimed it.
    InProgress {
        /// When to deliver again.
        retry_after: Duration,
    },
    /// The event was processed before.
    Processed,
}

macro_rules! forward_to_target {
    ($($pointer:ty),*) => {$(
        impl<L: TransactionalLog + ?Sized> TransactionalLog for $pointer
        where
            Self: Send + Sync,
        {
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
