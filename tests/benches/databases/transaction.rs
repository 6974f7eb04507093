//! Mark and one effect in one transaction: under the attribute, and the same statements by hand.

use std::sync::Arc;

use crate::load::Handler;

/// The tables of the effects.
pub(crate) const EFFECTS: &str = "\
    CREATE TABLE effects (event_id VARCHAR(255) NOT NULL); \
    CREATE TABLE effects_by_hand (event_id VARCHAR(255) NOT NULL)";

/// By hand, and under the attribute.
pub(crate) type Handlers = [Arc<dyn Handler>; 2];

/// The handlers of one database. By hand, a duplicate rolls back.
macro_rules! transactions {
    (
        $log:ty, $pool:ty,
        begin: $begin:literal, mark: $mark:literal, effect: $effect:literal, by_hand: $by_hand:literal
    ) => {
        /// [`Handlers`](crate::transaction::Handlers).
        fn transactions(log: $log, by_hand: $pool) -> $crate::transaction::Handlers {
            [std::sync::Arc::new(TransactionByHand(by_hand)), std::sync::Arc::new(Transaction(log))]
        }

        struct TransactionByHand($pool);

        impl Handler for TransactionByHand {
            fn deliver<'f>(&'f self, id: &'f str) -> Delivery<'f> {
                Box::pin(async move {
                    let begun = self.0.begin_with($begin).await;
                    let mut tx = begun.expect("the database is there");
                    let marked = sqlx::query($mark).bind(id).bind(TYPE).execute(&mut *tx).await;
                    if marked.expect("the table is there").rows_affected() == 0 {
                        tx.rollback().await.expect("the database is there");
                        return false;
                    }
                    let effect = sqlx::query($by_hand).bind(id).execute(&mut *tx).await;
                    effect.expect("the table is there");
                    tx.commit().await.expect("the database is there");
                    true
                })
            }
        }

        struct Transaction($log);

        #[ferro_idem::idempotent_webhook(transaction(tx))]
        async fn in_transaction(
            log: &$log,
            event: &str,
        ) -> Result<ferro_idem::Outcome<()>, ferro_idem::Error> {
            let effect = sqlx::query($effect).bind(event).execute(&mut *tx).await;
            effect.map_err(|error| ferro_idem::Error::store("write the effect", error))?;
            Ok(ferro_idem::Outcome::Processed(()))
        }

        impl Handler for Transaction {
            fn deliver<'f>(&'f self, id: &'f str) -> Delivery<'f> {
                Box::pin(async move {
                    match in_transaction(&self.0, id).await {
                        Ok(outcome) => matches!(outcome, ferro_idem::Outcome::Processed(())),
                        // The first delivery of the event is still under way.
                        Err(ferro_idem::Error::InProgress { .. }) => false,
                        Err(error) => panic!("the database is there: {error}"),
                    }
                })
            }
        }
    };
}
pub(crate) use transactions;
