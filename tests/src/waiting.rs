use std::future::Future;
use std::time::{Duration, Instant};

use ferro_idem::Error;

/// Longer than anything that a test waits for.
const PATIENCE: Duration = Duration::from_mins(1);

/// Delivers again, as a sender does, until the event is not in progress and the store answers.
///
/// # Errors
///
/// The first error that a redelivery cannot help against, or the last one after a minute.
pub async fn redeliver<T, F: Future<Output = Result<T, Error>>>(
    mut deliver: impl FnMut() -> F,
) -> Result<T, Error> {
    let start = Instant::now();
    loop {
        match deliver().await {
            Err(Error::InProgress { .. } | Error::Store { .. }) if start.elapsed() < PATIENCE => {
                tokio::task::yield_now().await;
            }
            settled => return settled,
        }
    }
}
