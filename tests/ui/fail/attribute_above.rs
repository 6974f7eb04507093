//! What was an `async fn` when the attribute above saw it.

use std::future::Future;
use std::pin::Pin;

use ferro_idem::{Error, MemoryProcessedLog, idempotent_webhook};

#[tokio::main]
#[idempotent_webhook]
async fn blocks_on_a_runtime(log: MemoryProcessedLog, event: String) -> Result<(), Error> {
    Ok(())
}

/// What `#[async_recursion]` makes.
#[idempotent_webhook]
fn returns_a_future<'a>(
    log: &'a MemoryProcessedLog,
    event: &'a str,
) -> Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>> {
    Box::pin(async move { Ok(()) })
}

fn main() {}
