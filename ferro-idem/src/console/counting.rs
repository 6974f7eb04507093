//! Counting for the overview, which shows a part of a large store instead of waiting for all of it.

use std::time::Duration;

use tokio::time::Instant;

use crate::error::Error;
use crate::operations::Cursor;

/// Counts part after part until the time is over. Returns whether the counts are only those of a part.
///
/// `count_page` counts the part after a cursor, and tells where the next one begins.
pub(super) async fn counted_within<C: Default, F>(
    limit: Duration,
    add: fn(&mut C, &C),
    count_page: impl Fn(Option<Cursor>) -> F,
) -> Result<(C, bool), Error>
where
    F: Future<Output = Result<(C, Option<Cursor>), Error>>,
{
    let started = Instant::now();
    let (mut counts, mut after) = (C::default(), None);
    loop {
        let (part, next) = count_page(after).await?;
        add(&mut counts, &part);
        match next {
            None => return Ok((counts, false)),
            Some(_) if started.elapsed() > limit => return Ok((counts, true)),
            next => after = next,
        }
    }
}
