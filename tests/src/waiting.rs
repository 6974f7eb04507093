use std::future::Future;
use std::time::{Duration, Instant};

use ferro_idem::Error;

/// Longer than anything that a test waits for, and shorter than a person's patience.
const PATIENCE: Duration = Duration::from_mins(1);

/// Delivers again, as a sender does, until no other delivery of the event is in the way.
///
/// # Errors
///
/// The first that another delivery does not help against, or the last one when patience is over.
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
