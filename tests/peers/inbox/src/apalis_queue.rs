//! `apalis-postgres`, with batches and without a lock for each task, as its example for throughput.

use apalis::prelude::*;
use apalis_postgres::{Config, PostgresStorage};
use sqlx::PgPool;

use super::{HANDLERS, Job, Left, Outcome, Subject};

#[derive(Clone)]
pub(crate) struct Queue(PostgresStorage<Job>);

impl Subject for Queue {
    async fn new(pool: &PgPool) -> Outcome<Self> {
        PostgresStorage::<()>::setup(pool).await?;
        let config = Config::default().queue("peers").batch_size(100).lock_tasks(false);
        Ok(Self(PostgresStorage::new(pool).with_config(config)))
    }

    async fn store(&self, job: Job) -> Outcome {
        let mut backend = self.0.clone();
        backend.push(job).await.map_err(|error| format!("{error:?}").into())
    }

    async fn handle(&self, turn: u32, left: Left) -> Outcome {
        let worker = WorkerBuilder::new(format!("worker-{turn}"))
            .backend(self.0.clone().with_pubsub())
            .data(left.clone())
            .concurrency(HANDLERS)
            .parallelize(tokio::spawn)
            .build(run);
        let running = tokio::spawn(worker.run());
        left.none().await;
        running.abort();
        Ok(())
    }
}

async fn run(_: Job, left: Data<Left>) -> Result<(), BoxDynError> {
    left.one_less();
    Ok(())
}
