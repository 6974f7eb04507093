//! `graphile_worker`, with its local queue.

use graphile_worker::{
    IntoTaskHandlerResult, JobSpec, LocalQueueConfig, TaskHandler, WorkerContext, WorkerOptions, WorkerUtils,
};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use super::{HANDLERS, Job, Left, Outcome, Subject};

#[derive(Clone, Deserialize, Serialize)]
struct Handled(Job);

impl TaskHandler for Handled {
    const IDENTIFIER: &'static str = "handled";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        if let Some(left) = context.get_ext::<Left>() {
            left.one_less();
        }
        Ok::<(), String>(())
    }
}

#[derive(Clone)]
pub(crate) struct Queue {
    pool: PgPool,
    utils: WorkerUtils,
}

impl Subject for Queue {
    async fn new(pool: &PgPool) -> Outcome<Self> {
        let worker = options(pool).init().await?;
        Ok(Self { pool: pool.clone(), utils: worker.create_utils() })
    }

    async fn store(&self, job: Job) -> Outcome {
        self.utils.add_job(Handled(job), JobSpec::default()).await?;
        Ok(())
    }

    async fn handle(&self, _: u32, left: Left) -> Outcome {
        let worker = options(&self.pool).add_extension(left.clone()).init().await?;
        let running = tokio::spawn(async move { worker.run().await.map_err(|error| error.to_string()) });
        left.none().await;
        running.abort();
        Ok(())
    }
}

fn options(pool: &PgPool) -> WorkerOptions {
    WorkerOptions::default()
        .pg_pool(pool.clone())
        .concurrency(HANDLERS)
        .local_queue(LocalQueueConfig::default())
        .listen_os_shutdown_signals(false)
        .define_job::<Handled>()
}
