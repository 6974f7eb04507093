//! The inbox, with a handler under `claim`.

use ferro_idem::inbox::Inbox;
use ferro_idem::sender::{Delivery, IdCoverage, PayloadError, Sender, SignatureError};
use ferro_idem::{PostgresLog, idempotent_webhook};
use serde_json::Value;
use sqlx::{PgPool, Postgres};

use super::{HANDLERS, Job, Left, Outcome, Subject};

pub(crate) struct Own;

impl Sender for Own {
    type Event = Value;
    const NAME: &'static str = "peers";
    const ID: IdCoverage = IdCoverage::Signed;

    fn verify(&self, _: &Delivery<'_>) -> Result<Value, SignatureError> {
        Err(SignatureError::NoSecret)
    }

    fn decode(&self, delivery: &Delivery<'_>) -> Result<Value, PayloadError> {
        delivery.json()
    }
}

#[idempotent_webhook(claim)]
async fn handle(log: &PostgresLog, event: Value) -> Result<(), ferro_idem::Error> {
    Ok(())
}

#[derive(Clone)]
pub(crate) struct Ours {
    log: PostgresLog,
    inbox: Inbox<Postgres, Own>,
}

impl Subject for Ours {
    async fn new(pool: &PgPool) -> Outcome<Self> {
        let log = PostgresLog::new(pool.clone());
        log.create_table().await?;
        let inbox = Inbox::new(log.clone(), Own);
        inbox.create_tables().await?;
        Ok(Self { log, inbox })
    }

    async fn store(&self, job: Job) -> Outcome {
        let body = serde_json::to_vec(&job)?;
        self.inbox.add(&Delivery::new(&body)).await?;
        Ok(())
    }

    async fn handle(&self, _: u32, left: Left) -> Outcome {
        let (log, counted) = (self.log.clone(), left.clone());
        let worker = self.inbox.worker(move |event| {
            let (log, left) = (log.clone(), counted.clone());
            async move {
                let handled = handle(&log, event).await;
                if handled.is_ok() {
                    left.one_less();
                }
                handled
            }
        });
        // It returns after everything is completed.
        worker.with_concurrency(HANDLERS).run(async move { left.none().await }).await?;
        Ok(())
    }
}
